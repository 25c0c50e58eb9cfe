"""Executor for endpoints with Piston's API.

It chooses versions of languages, and learns the server's own limits from refusals. `wire` writes the requests and reads
the answers.
"""

import re
from collections.abc import Mapping

from balancer.errors import CannotTell
from balancer.program import Execution
from balancer.sandbox.http.adapter import ServerExecutor, ServerRun, json_bytes
from balancer.sandbox.http.builds import newest, versions_in
from balancer.sandbox.http.client import UnexpectedStatus
from balancer.sandbox.piston.wire import (
    NAMES,
    ExecuteAnswer,
    ExecuteRequest,
    Runtime,
    Runtimes,
    execution_of_answer,
    request_for,
)

__all__ = ["PistonExecutor"]

_LIMIT = re.compile(r"(\w+) cannot exceed the configured limit of (\d+)")
_KEPT_BYTES = 2**24  # bytes of a stream that a server set up for judging keeps, for any limit of a run
_TOO_LONG = "entity too large"
_UNKNOWN = "runtime is unknown"


class PistonExecutor(ServerExecutor):
    """Runs programs on a Piston server. Thread-safe.

    CPU time is measured. Arguments as for `ServerExecutor`; a query of the URL chooses versions, e.g.
    "piston+http://10.0.0.1:2000/?python=3.12.0".
    """

    def _set_up(self) -> None:
        self._chosen = versions_in(self._url, self._possible_languages())
        self._runtimes: Mapping[str, Runtime] | None = None
        self._most: dict[str, Mapping[str, float]] = {}

    def _possible_languages(self) -> frozenset[str]:
        return frozenset(NAMES) & self._known.keys()

    def _reported_languages(self) -> frozenset[str]:
        return frozenset(self._reported_runtimes())

    def _reported_runtimes(self) -> Mapping[str, Runtime]:
        """Return the version of each language that is used. Asked until the server has answered once."""
        if self._runtimes is None:
            reported = self._get("/api/v2/runtimes", Runtimes).root
            found = {}
            for name in self._possible_languages():
                versions = [each.version for each in reported if each.language == NAMES[name]]
                version = self._chosen.get(name) or newest(versions)
                if version:
                    found[name] = Runtime(language=NAMES[name], version=version)
            self._runtimes = found
        return self._runtimes

    def _run(self, run: ServerRun) -> Execution:
        name, runtimes = run.build.language.name, self._reported_runtimes()
        if name not in runtimes:
            raise ValueError(f"{self._url} has no {name!r}; it has {', '.join(sorted(runtimes))}")
        request, answer = self._answer(run, runtimes[name])
        self._server.check_output(answer.run.stdout)
        return execution_of_answer(answer, request, run.context)

    def _answer(self, run: ServerRun, runtime: Runtime) -> tuple[ExecuteRequest, ExecuteAnswer]:
        """Return the request that the server accepted, and its answer. A limit that it refuses is lowered."""
        at_most = 2 * json_bytes(max(run.limits.output_bytes, _KEPT_BYTES))  # the answer has both streams twice
        while True:
            most = self._most.get(runtime.language, {})
            request = request_for(run.build, run.stdin, run.limits, runtime, most)
            body = request.model_dump_json().encode()
            within_s = self._left_s(run.until_s)
            try:
                return request, self._server.post(
                    "/api/v2/execute", body, ExecuteAnswer, within_s=within_s, at_most=at_most
                )
            except UnexpectedStatus as refusal:
                limit = _LIMIT.search(refusal.words) if refusal.status == 400 else None
                if limit is None or getattr(request, limit[1], 0) <= int(limit[2]):
                    if _TOO_LONG in refusal.words:
                        raise CannotTell(refusal.reason, endpoint=self._url) from None
                    if _UNKNOWN in refusal.words:
                        self._runtimes = None  # the server has other versions now
                    raise
                self._most[runtime.language] = {**most, limit[1]: int(limit[2])}

    def ping(self) -> None:
        """Return if the server answers. Raises EndpointError."""
        self._get("/api/v2/runtimes", Runtimes)
