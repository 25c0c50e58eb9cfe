"""Executor for endpoints with Judge0's API.

It sends submissions, polls their results, and gives up late ones. `wire` writes the requests and reads the answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from balancer.errors import ConfigError, EndpointOverloaded
from balancer.program import Execution
from balancer.sandbox.http.adapter import ServerExecutor, ServerRun, json_bytes
from balancer.sandbox.http.builds import versions_in
from balancer.sandbox.judge0.wire import (
    NAMES,
    Created,
    Judge0Status,
    Languages,
    ServedLanguage,
    ServerLimits,
    SubmissionAnswer,
    execution_of_answer,
    served_languages,
    submission_for,
    text_of,
)

__all__ = ["Judge0Executor"]

_MOST_PAUSE_S = 1.0
_PAUSE_FACTOR = 1.5
_TOKEN_BYTES = 2**16
_FIELDS = "status,stdout,stderr,compile_output,message,exit_code,exit_signal,time,wall_time,memory"


@dataclass(frozen=True, slots=True)
class _ServerInfo:
    """Languages and limits that the server reports."""

    languages: Mapping[str, ServedLanguage]
    limits: ServerLimits


class Judge0Executor(ServerExecutor):
    """Runs programs on a Judge0 server. Thread-safe.

    CPU time is measured. Bytes that are not text pass unchanged. Arguments as for `ServerExecutor`; a query of the URL
    chooses languages by their ids, e.g. "judge0+http://10.0.0.1:2358/?cpp=105".
    """

    first_pause_s: ClassVar[float] = 0.05  # before the first look at a result

    def _set_up(self) -> None:
        self._chosen = versions_in(self._url, self._possible_languages())
        for name, number in self._chosen.items():
            if not number.isdecimal():
                found = f"endpoint url is {self._url!r}: {name} is {number!r}"
                raise ConfigError(f"{found}; it must be the id of a language")
        self._info: _ServerInfo | None = None

    def _possible_languages(self) -> frozenset[str]:
        return frozenset(NAMES) & self._known.keys()

    def _reported_languages(self) -> frozenset[str]:
        return frozenset(self._server_info().languages) & self._possible_languages()

    def _server_info(self) -> _ServerInfo:
        """Return the server's languages and limits. Asked until the server has answered once."""
        if self._info is None:
            limits = self._get("/config_info", ServerLimits)
            languages = self._get("/languages", Languages).root
            self._info = _ServerInfo(served_languages(languages, limits, self._chosen), limits)
        return self._info

    def _run(self, run: ServerRun) -> Execution:
        """Send the run and read the answer. Raises as `run`; EndpointOverloaded also if the program begins too late."""
        info, build = self._server_info(), run.build
        served = info.languages.get(build.language.name)
        if served is None:
            have = ", ".join(sorted(info.languages))
            raise ValueError(f"{self._url} has no {build.language.name!r}; it has {have}")
        request = submission_for(build, run.stdin, run.limits, served, info.limits)
        compile_s = info.limits.max_wall_time_limit if build.compile else 0.0  # compilers have the server's own limits
        until_s = self._clock() + request.given.wall_s + compile_s + self.margin_s
        created = self._server.post(
            "/submissions?base64_encoded=true&wait=false",
            request.body.model_dump_json(exclude_none=True).encode(),
            Created,
            within_s=self._left_s(until_s),
            at_most=_TOKEN_BYTES,
            good=201,
        )
        answer = self._result(created.token, until_s, json_bytes(run.limits.output_bytes))
        self._server.check_output(text_of(answer.stdout, run.context).decode("latin-1"))
        return execution_of_answer(answer, request, run.context)

    def _result(self, token: str, until_s: float, at_most: int) -> SubmissionAnswer:
        """Poll a submission until it is over, with growing pauses."""
        pause_s = self.first_pause_s
        path = f"/submissions/{token}?base64_encoded=true&fields={_FIELDS}"
        while True:
            if self._closing.wait(pause_s):
                raise self._server.failed("the executor is closed")
            content = self._server.get(path, within_s=self._left_s(until_s), at_most=at_most)
            answer = self._server.read(content, SubmissionAnswer)
            if answer.is_over:
                return answer
            pause_s = min(pause_s * _PAUSE_FACTOR, _MOST_PAUSE_S)
            if self._clock() + pause_s >= until_s:
                if answer.status.id is Judge0Status.IN_QUEUE:
                    raise EndpointOverloaded("the program did not start in time", endpoint=self._url)
                raise self._server.failed("the program started but did not end in time")

    def ping(self) -> None:
        """Return if the server answers and accepts the request. Raises EndpointError."""
        self._get("/languages", Languages)
