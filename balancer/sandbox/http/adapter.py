"""Base class of executors for HTTP servers: a client, languages that are asked once, one run, closing.

It decides when a server is asked for its languages, and by when the answer to a run must arrive. Requests and the
meaning of answers are up to each executor.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from pydantic import BaseModel

from balancer.errors import EndpointError
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.http.answers import AnswerContext
from balancer.sandbox.http.builds import Build, build_of
from balancer.sandbox.http.client import ServerClient
from balancer.sandbox.http.connections import Connect
from balancer.sandbox.languages.known import known_languages

__all__ = ["PING_BYTES", "PING_S", "ServerExecutor", "ServerRun", "json_bytes"]

PING_S = 5.0
PING_BYTES = 2**20
# JSON writes a control character in six bytes, and there are two streams.
_JSON_FACTOR = 2 * 6
_JSON_FRAME_BYTES = 2**20

Answer = TypeVar("Answer", bound=BaseModel)


def json_bytes(output_bytes: int) -> int:
    """Return the limit in bytes on a JSON answer with two streams of `output_bytes` bytes each."""
    return _JSON_FACTOR * output_bytes + _JSON_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class ServerRun:
    """One run of a program on a server.

    Attributes:
        build: the program, with its files.
        stdin: its input.
        limits: of the run.
        until_s: deadline, as an instant of the executor's clock.
        context: what is needed to read the answer.
    """

    build: Build
    stdin: bytes
    limits: Limits
    until_s: float
    context: AnswerContext


class ServerExecutor:
    """Executor for a server, without its API. Thread-safe.

    Args:
        url: of the server, e.g. "judge0+http://10.0.0.1:2358/". A path before the API's own is kept. A query chooses
            versions of languages, if the API has several.
        options: `headers` are sent with every request; `languages`, if given, replace those that the server reports.
        connect: makes a connection to the server.
        clock: in seconds.

    Raises:
        ConfigError: the URL or a header cannot be used.
    """

    # What a call may take beyond the program and its compiler: connecting, sending, waiting for a free core.
    margin_s: ClassVar[float] = 10.0

    def __init__(
        self,
        url: str,
        options: ExecutorOptions | None = None,
        *,
        connect: Connect | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        options = options or ExecutorOptions()
        self._url = url
        self._clock = clock
        self._allowed = options.languages
        self._known = known_languages() if options.known is None else options.known
        self._closing = threading.Event()
        self._server = ServerClient(url, options.headers, connect=connect, clock=clock)
        self._set_up()

    def _set_up(self) -> None:
        """Set up the state of a subclass. Called once, after all else is set. Raises ConfigError."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages that the endpoint runs.

        They come from the config, or from the server, which is asked once. While it does not answer: all known
        languages.
        """
        if self._allowed is not None:
            return self._allowed
        try:
            return self._reported_languages()
        except EndpointError:
            return self._possible_languages()

    def _reported_languages(self) -> frozenset[str]:
        """Return the languages that the server says it runs. Raises EndpointError."""
        raise NotImplementedError

    def _possible_languages(self) -> frozenset[str]:
        """Return the languages that a server of this kind may run."""
        return frozenset(self._known)

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        Raises:
            EndpointError: the server failed or did not answer in time; `CannotTell` if its answer does not say how the
                program ended.
            EndpointOverloaded: the server said that it is busy.
            ValueError: the language is not known, or the program, its input or its files cannot be sent.
        """
        build = build_of(program, self._known, limits, files)
        until_s = self._clock() + limits.wall_s + self.margin_s + (limits.compile_wall_s if build.compile else 0.0)
        return self._run(ServerRun(build, stdin, limits, until_s, self._context(program, limits)))

    def _run(self, run: ServerRun) -> Execution:
        """Send the run and read the answer. Raises as `run` does."""
        raise NotImplementedError

    def _context(self, program: Program, limits: Limits) -> AnswerContext:
        return AnswerContext(program.language, limits, self._url, self._server.redact)

    def _get(self, path: str, answer: type[Answer]) -> Answer:
        """Return the server's answer to a GET of `path`. Raises EndpointError."""
        return self._server.read(self._server.get(path, within_s=PING_S, at_most=PING_BYTES), answer)

    def _left_s(self, until_s: float) -> float:
        """Return the seconds left until `until_s` on the clock. Raises EndpointError if there are none."""
        left_s = until_s - self._clock()
        if left_s <= 0:
            raise self._server.failed("no answer in time")
        return left_s

    def ping(self) -> None:
        """Return if the server answers and accepts the request.

        Raises:
            EndpointError: it does not, or it is something else.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close all connections. May be called twice."""
        self._closing.set()
        self._server.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url}>"
