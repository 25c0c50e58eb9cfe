"""The executor for endpoints that speak Piston's API.

Decides which version of a language is used, and learns the server's own limits from what it refuses. How a run is put
into words is `request`'s business, what the answer means is `answer`'s.
"""

import re
from collections.abc import Mapping

from balancer.errors import CannotTell
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.http.adapter import MARGIN_S, PING_BYTES, PING_S, ServerExecutor, json_bytes
from balancer.sandbox.http.builds import Build, build_of
from balancer.sandbox.http.client import UnexpectedStatus
from balancer.sandbox.http.versions import newest, versions_in
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.piston.answer import execution_of_answer
from balancer.sandbox.piston.request import NAMES, request_for
from balancer.sandbox.piston.wire import ExecuteAnswer, ExecuteRequest, Runtime, Runtimes

__all__ = ["PistonExecutor"]

_LIMIT = re.compile(r"(\w+) cannot exceed the configured limit of (\d+)")
_KEPT_BYTES = 2**24  # what a server that is set up for judging keeps of a stream, whatever the limit of this run
_TOO_LONG = "entity too large"
_UNKNOWN = "runtime is unknown"


class PistonExecutor(ServerExecutor):
    """Runs programs on a Piston server. Thread-safe.

    Arguments as for `ServerExecutor`; a query of the URL chooses versions, e.g.
    "piston+http://10.0.0.1:2000/?python=3.12.0".
    """

    def _begin(self, options: ExecutorOptions) -> None:
        self._chosen = versions_in(self._url, self._known_languages())
        self._runtimes: Mapping[str, Runtime] | None = None
        self._most: dict[str, Mapping[str, float]] = {}

    def _known_languages(self) -> frozenset[str]:
        return frozenset(NAMES) & known_languages().keys()

    def _reported_languages(self) -> frozenset[str]:
        return frozenset(self._reported_runtimes())

    def _reported_runtimes(self) -> Mapping[str, Runtime]:
        """Return the version that is used of each language, asked until the server has once said so."""
        if self._runtimes is None:
            content = self._server.get("/api/v2/runtimes", within_s=PING_S, at_most=PING_BYTES)
            told = self._server.read(content, Runtimes).root
            found = {}
            for name in self._known_languages():
                versions = [each.version for each in told if each.language == NAMES[name]]
                version = self._chosen.get(name) or newest(versions)
                if version:
                    found[name] = Runtime(language=NAMES[name], version=version)
            self._runtimes = found
        return self._runtimes

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says. CPU time is measured.

        Raises:
            EndpointError: the server failed or did not answer in time; `CannotTell` if its answer does not say how the
                program ended.
            EndpointOverloaded: it said that it has too much to do.
            ValueError: the language is not known, or the program or its input cannot be sent.
        """
        build = build_of(program, limits, files)
        runtime = self._reported_runtimes().get(program.language)
        if runtime is None:
            raise ValueError(
                f"{self._url} has no {program.language!r}; it has {', '.join(sorted(self._reported_runtimes()))}"
            )
        until_s = self._clock() + limits.wall_s + MARGIN_S + (limits.compile_wall_s if build.compile else 0.0)
        request, answer = self._answer(build, stdin, limits, runtime, until_s)
        self._server.check_output(answer.run.stdout)
        return execution_of_answer(
            answer,
            request,
            language=program.language,
            limits=limits,
            endpoint=self._url,
            redact=self._server.redact,
        )

    def _answer(
        self, build: Build, stdin: bytes, limits: Limits, runtime: Runtime, until_s: float
    ) -> tuple[ExecuteRequest, ExecuteAnswer]:
        """Return the request that the server took, and its answer. What it refuses for a limit is asked with less."""
        while True:
            most = self._most.get(runtime.language, {})
            request = request_for(build, stdin, limits, runtime, most)
            body = request.model_dump_json().encode()
            at_most = 2 * json_bytes(max(limits.output_bytes, _KEPT_BYTES))  # both streams stand there a second time
            try:
                answer = self._server.post(
                    "/api/v2/execute", body, ExecuteAnswer, within_s=self._left_s(until_s), at_most=at_most
                )
            except UnexpectedStatus as refusal:
                limit = _LIMIT.search(refusal.words) if refusal.status == 400 else None
                if limit is None or getattr(request, limit[1], 0) <= int(limit[2]):
                    if _TOO_LONG in refusal.words:
                        raise CannotTell(refusal.reason, endpoint=self._url) from None
                    if _UNKNOWN in refusal.words:
                        self._runtimes = None  # it has other versions now
                    raise
                self._most[runtime.language] = {**most, limit[1]: int(limit[2])}
            else:
                return request, answer

    def ping(self) -> None:
        """Return if the server answers.

        Raises:
            EndpointError: it does not, or it is something else.
        """
        content = self._server.get("/api/v2/runtimes", within_s=PING_S, at_most=PING_BYTES)
        self._server.read(content, Runtimes)
