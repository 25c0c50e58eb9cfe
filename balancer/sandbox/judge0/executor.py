"""The executor for endpoints that speak Judge0's API.

Decides when a submission is asked after, and when it is given up. How a run is put into words is `request`'s business,
what the answer means is `answer`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from balancer.errors import ConfigError, EndpointOverloaded
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.http.adapter import MARGIN_S, PING_BYTES, PING_S, ServerExecutor, json_bytes
from balancer.sandbox.http.builds import build_of
from balancer.sandbox.http.versions import versions_in
from balancer.sandbox.judge0.answer import execution_of_answer, text_of
from balancer.sandbox.judge0.languages import NAMES, ServedLanguage, served_languages
from balancer.sandbox.judge0.request import submission_for
from balancer.sandbox.judge0.wire import Created, Judge0Status, Languages, ServerLimits, SubmissionAnswer
from balancer.sandbox.languages.known import known_languages

__all__ = ["Judge0Executor"]

_FIRST_PAUSE_S = 0.05
_MOST_PAUSE_S = 1.0
_PAUSE_FACTOR = 1.5
_TOKEN_BYTES = 2**16
_FIELDS = "status,stdout,stderr,compile_output,message,exit_code,exit_signal,time,wall_time,memory"


@dataclass(frozen=True, slots=True)
class _ServerInfo:
    """What the server said of itself."""

    languages: Mapping[str, ServedLanguage]
    limits: ServerLimits


class Judge0Executor(ServerExecutor):
    """Runs programs on a Judge0 server. Thread-safe.

    Arguments as for `ServerExecutor`; a query of the URL chooses languages by their ids, e.g.
    "judge0+http://10.0.0.1:2358/?cpp=105".
    """

    def _begin(self, options: ExecutorOptions) -> None:
        self._chosen = versions_in(self._url, self._known_languages())
        for name, number in self._chosen.items():
            if not number.isdecimal():
                found = f"endpoint url is {self._url!r}: {name} is {number!r}"
                raise ConfigError(f"{found}; it must be the id of a language")
        self._told: _ServerInfo | None = None

    def _known_languages(self) -> frozenset[str]:
        return frozenset(NAMES) & known_languages().keys()

    def _reported_languages(self) -> frozenset[str]:
        return frozenset(self._server_info().languages) & self._known_languages()

    def _server_info(self) -> _ServerInfo:
        """Return the server's languages and limits, asked until it has once said so."""
        if self._told is None:
            content = self._server.get("/config_info", within_s=PING_S, at_most=PING_BYTES)
            limits = self._server.read(content, ServerLimits)
            content = self._server.get("/languages", within_s=PING_S, at_most=PING_BYTES)
            languages = self._server.read(content, Languages).root
            self._told = _ServerInfo(served_languages(languages, limits, self._chosen), limits)
        return self._told

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says. CPU time is measured, and bytes that are no text pass unchanged.

        Raises:
            EndpointError: the server failed or did not answer in time; `CannotTell` if its answer does not say how the
                program ended.
            EndpointOverloaded: it said that it has too much to do, or the program was not begun in time.
            ValueError: the language is not known, or the program cannot be sent.
        """
        build = build_of(program, limits, files)
        told = self._server_info()
        served = told.languages.get(program.language)
        if served is None:
            raise ValueError(f"{self._url} has no {program.language!r}; it has {', '.join(sorted(told.languages))}")
        asked = submission_for(build, stdin, limits, served, told.limits)
        compile_s = told.limits.max_wall_time_limit if build.compile else 0.0  # compilers have the server's own limits
        until_s = self._clock() + asked.given.wall_s + compile_s + MARGIN_S
        body = asked.body.model_dump_json(exclude_none=True).encode()
        created = self._server.post(
            "/submissions?base64_encoded=true&wait=false",
            body,
            Created,
            within_s=self._left_s(until_s),
            at_most=_TOKEN_BYTES,
            good=201,
        )
        answer = self._result(created.token, until_s, json_bytes(limits.output_bytes))
        self._server.check_output(text_of(answer.stdout, self._url).decode("latin-1"))
        return execution_of_answer(
            answer,
            asked,
            language=program.language,
            limits=limits,
            endpoint=self._url,
            redact=self._server.redact,
        )

    def _result(self, token: str, until_s: float, at_most: int) -> SubmissionAnswer:
        """Ask after a submission until it is over, ever more seldom."""
        pause_s = _FIRST_PAUSE_S
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
                    raise EndpointOverloaded("the program was not begun in time", endpoint=self._url)
                raise self._server.failed("the program was begun, and not over in time")

    def ping(self) -> None:
        """Return if the server answers, and lets us in.

        Raises:
            EndpointError: it does not, or it is something else.
        """
        content = self._server.get("/languages", within_s=PING_S, at_most=PING_BYTES)
        self._server.read(content, Languages)
