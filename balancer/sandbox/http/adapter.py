"""What each adapter of an HTTP server builds on: its executor without the API, and the plugin hook for its URLs.

It decides when a server is asked for its languages, and by when the answer to a run must arrive. An adapter says how a
program becomes a request, how an answer becomes an `Execution`, and which answers mean that the server is busy.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from balancer.errors import EndpointError
from balancer.hookspecs import ExecutorPlugin, hookimpl
from balancer.plugins.extras import require
from balancer.program import Execution, Executor, ExecutorOptions, Language, Limits, Program
from balancer.sandbox.http.answers import AnswerContext
from balancer.sandbox.http.builds import Build, build_of
from balancer.sandbox.http.client import Exchange, ServerClient
from balancer.sandbox.languages.known import known_languages

__all__ = ["PING_BYTES", "PING_S", "ServerExecutor", "ServerRun", "executor_hook", "json_bytes"]

PING_S = 5.0
PING_BYTES = 2**20
# JSON writes a control character in six bytes, and there are two streams.
_JSON_FACTOR = 2 * 6
_JSON_FRAME_BYTES = 2**20

Answer = TypeVar("Answer", bound=BaseModel)
Served = TypeVar("Served")


def json_bytes(output_bytes: int) -> int:
    """Return the limit in bytes on a JSON answer with two streams of `output_bytes` bytes each."""
    return _JSON_FACTOR * output_bytes + _JSON_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class ServerRun(AnswerContext):
    """One run of a program: `build`, the program with its files; its input; the deadline on the executor's clock."""

    build: Build
    stdin: bytes
    until_s: float


class ServerExecutor(Generic[Served]):
    """Executor for a server, without its API. Thread-safe. `Served` is what is known of each of its languages.

    Args:
        url: of the server, e.g. "judge0+http://10.0.0.1:2358/". A path before the API's own is kept. A query chooses
            versions of languages, if the API has several.
        options: `headers` are sent with every request; `languages`, if given, replace those that the server reports.
        exchange: sends requests; by default over connections to the server.
        clock: in seconds.

    Raises:
        ConfigError: the URL or a header cannot be used.
    """

    names: ClassVar[Mapping[str, str]]
    """Our names of the languages that servers of this kind may have, and theirs."""

    # What a call may take beyond the program and its compiler: connecting, sending, waiting for a free core.
    margin_s: ClassVar[float] = 10.0

    def __init__(
        self,
        url: str,
        options: ExecutorOptions | None = None,
        *,
        exchange: Exchange | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        options = options or ExecutorOptions()
        self._url = url
        self._clock = clock
        self._allowed = options.languages
        self._known = known_languages() if options.known is None else options.known
        self._closing = threading.Event()
        self._stop: Callable[[], None] = lambda: None
        if exchange is None:
            from balancer.sandbox.http.connections import Connections  # its library is an optional extra

            connections = Connections()
            exchange, self._stop = connections.exchange, connections.close
        self._server = ServerClient(url, options.headers, exchange=exchange, clock=clock)
        self._reported: Mapping[str, Served] | None = None
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
        return frozenset(self._all_served())

    def _possible_languages(self) -> frozenset[str]:
        """Return the languages that a server of this kind may run."""
        return frozenset(self.names) & self._known.keys()

    def _all_served(self) -> Mapping[str, Served]:
        """Return what the server has for each language. Asked until it has answered once. Raises EndpointError."""
        if self._reported is None:
            self._reported = self._ask()
        return self._reported

    def _ask(self) -> Mapping[str, Served]:
        """Ask the server for its languages. Raises EndpointError."""
        raise NotImplementedError

    def _served(self, name: str) -> Served:
        """Return what the server has for the language `name`. Raises EndpointError, and ValueError if it has none."""
        if name not in (served := self._all_served()):
            raise ValueError(f"{self._url} has no {name!r}; it has {', '.join(sorted(served))}")
        return served[name]

    def _language(self, name: str) -> Language:
        if name not in self._known:
            raise ValueError(f"language {name!r} is not known; known are {', '.join(sorted(self._known))}")
        return self._known[name]

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        Raises:
            EndpointError: the server failed or did not answer in time; `CannotTell` if its answer does not say how the
                program ended.
            EndpointOverloaded: the server said that it is busy.
            ValueError: the language is not known, or the program, its input or its files cannot be sent.
        """
        build = build_of(program, self._language(program.language), limits, files)
        until_s = self._clock() + limits.wall_s + self.margin_s + (limits.compile_wall_s if build.compile else 0.0)
        return self._run(ServerRun(program.language, limits, self._server, build, stdin, until_s))

    def _run(self, run: ServerRun) -> Execution:
        """Send the run and read the answer. Raises as `run` does."""
        raise NotImplementedError

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
        self._stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url}>"


def executor_hook(
    kind: type[ServerExecutor[Any]], *schemes: str, summary: str
) -> Callable[[], tuple[ExecutorPlugin, ...]]:
    """Return the hook `balancer_executors` of an adapter: its executor, its URL schemes, and one line of text."""

    def make(url: str, options: ExecutorOptions) -> Executor:
        require("pipeline", f"an executor for {schemes[0]}:// endpoints", "aiohttp")
        return kind(url, options)

    @hookimpl
    def balancer_executors() -> tuple[ExecutorPlugin, ...]:
        return (ExecutorPlugin(schemes, make, summary),)

    return balancer_executors
