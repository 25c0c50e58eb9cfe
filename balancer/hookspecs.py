"""Plugin hooks: strategies, sources, generators, executors, languages, routes and commands.

Hooks run once, when the plugins are loaded. A plugin is a module or an object with functions marked `@hookimpl`. A
distribution offers it in the entry-point group `balancer`.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import pluggy

from balancer.endpoint import Endpoint
from balancer.errors import BalancerError
from balancer.strategy import Strategy
from balancer.values.headers import Headers

if TYPE_CHECKING:
    import random

    import typer

    from balancer.problem import Problem, Proposal
    from balancer.program import Executor, ExecutorOptions, Language
    from balancer.values.options import StrategyOptions

__all__ = [
    "PROJECT",
    "EndpointTemplate",
    "ExecutorPlugin",
    "Generator",
    "HookSpecs",
    "HttpAnswer",
    "HttpCall",
    "Route",
    "RoutePlugin",
    "Routes",
    "Source",
    "SourceAnswer",
    "SourceError",
    "checked_answer",
    "hookimpl",
    "hookspec",
]

PROJECT = "balancer"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Generator(Protocol):
    """Proposes test inputs for a problem. One object serves all problems, from several threads."""

    name: ClassVar[str]

    def propose(self, problem: "Problem", rng: "random.Random", budget: int) -> "Iterable[Proposal]":
        """Yield at most `budget` inputs, lazily, the best ones first. Same problem and seed, same inputs."""
        ...


@dataclass(frozen=True, slots=True)
class ExecutorPlugin:
    """A way to run programs, for endpoint URLs of some schemes.

    Args:
        schemes: URL schemes it serves, e.g. ("http", "https").
        make: called with the endpoint's URL and the `ExecutorOptions` of its config.
        summary: one line for people.
    """

    schemes: tuple[str, ...]
    make: "Callable[[str, ExecutorOptions], Executor]"
    summary: str


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request for a route of a proxy.

    Args:
        method, path, query: as the client sent them; the query without its "?".
        headers: by name, in lower case. Of a name that comes twice, the values are joined by ", ".
        body: all of it.
        holder: the name of the client's tenant; "" if the proxy has no tenants.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    holder: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The answer of a route.

    Args:
        status: of HTTP, from 200 on.
        body: all of it.
        headers: by name. `Content-Length`, `Date` and `Connection` are the proxy's.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[HttpCall], Awaitable[HttpAnswer]]
"""What answers a request, as a task of asyncio, which is cancelled if the client goes away.

It may raise `BalancerError`: if the pool has no lease, the client gets a 503 with Retry-After, as for every request of
a proxy. Any other exception is a 500."""

Routes = Mapping[str, Route]
"""Routes by method and path: {"POST /run_code": run_code}."""


@dataclass(frozen=True, slots=True)
class RoutePlugin:
    """Paths that a proxy answers itself, over its pool, instead of passing the request on.

    Args:
        name: what `[proxy] routes` names.
        make: called once with the pool, the config and the registry (a `balancer.Pool`, a `Config`, a `Registry`), in
            the loop of the proxy. Returns the routes, and what closes them.
        summary: one line for people.
    """

    name: str
    make: Callable[[Any, Any, Any], tuple[Routes, Callable[[], object]]]
    summary: str


# -- sources of endpoints ------------------------------------------------------------------------------
#
# A source only says what is there, such as a file or DNS. `balancer.discovery` decides what a pool makes of it.

_MOST_LISTED: Final = 10_000  # endpoints of an answer: more are a mistake, or a lie
_NOT_SERVERS: Final = ("local://", "file://")  # else whoever writes the list could run programs on this machine


class SourceError(BalancerError):
    """A source gave no answer, or one that cannot be used. The text is one line and shows no secret."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What a source says at one time.

    Attributes:
        wanted: the endpoints that there are; none: the answer is empty, which no pool believes.
        gone: names of endpoints that the source itself says are going. They leave at once.
        again_s: seconds until the source should be asked again (>= 0).
    """

    wanted: tuple[Endpoint, ...]
    gone: frozenset[str] = frozenset()
    again_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EndpointTemplate:
    """What the endpoints of a source have unless the source says otherwise. The fields are those of `Endpoint`.

    Args:
        scheme: of the URL of an address.
        path: what follows the port in the URL of an address, e.g. "/v1".
    """

    scheme: str = "http"
    path: str = ""
    capacity: int = 1
    weight: float = 1.0
    labels: frozenset[str] = frozenset()
    group: int = 0
    quota: str | None = None
    headers: Mapping[str, str] = Headers()

    def url(self, host: str, port: int) -> str:
        """Return the URL of an address. `host` may be a name, or an IP address of either version."""
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}{self.path}"

    def endpoint(self, url: str, *, labels: Iterable[str] = (), weight: float = 1.0, **said: Any) -> Endpoint:
        """Return the endpoint at `url`. Its `weight` is multiplied, its `labels` are added, the rest is as `said`.

        Raises:
            SourceError: it is no valid endpoint.
        """
        usual: dict[str, Any] = {
            "capacity": self.capacity,
            "group": self.group,
            "quota": self.quota,
            "headers": self.headers,
        }
        try:
            return Endpoint(
                url,
                weight=self.weight * weight,
                labels=self.labels | frozenset(labels),
                **usual | {name: value for name, value in said.items() if value is not None},
            )
        except (TypeError, ValueError) as error:
            raise SourceError(f"it lists what is no endpoint: {error}") from None


class Source(ABC):
    """A list of endpoints that changes. Subclass it for a source of your own.

    A discovery calls `look` in a thread of its own, again and again, and `close` from another thread.

    Args:
        options: an instance of `Options`.
        template: makes endpoints of what the source lists.

    Attributes:
        name: its name in configs.
        Options: a pydantic model of its options.
        extra: the extra that it needs; None: none.
    """

    name: ClassVar[str]
    Options: ClassVar[type["StrategyOptions"]]
    extra: ClassVar[str | None] = None

    def __init__(self, options: Any, template: EndpointTemplate) -> None:
        self.options = options
        self.template = template

    @abstractmethod
    def look(self) -> SourceAnswer | None:
        """Return what is there now; None: the same as before. It may wait for a change, for a minute or so.

        Raises:
            SourceError: there is no answer. It is called again after a pause.
        """

    def close(self) -> None:  # noqa: B027, most sources do not wait
        """End a `look` that waits. It is the last call."""


def checked_answer(answer: SourceAnswer) -> SourceAnswer:
    """Return `answer` if it is not too long, and lists servers of different names. Raises SourceError."""
    if len(answer.wanted) > _MOST_LISTED:
        raise SourceError(f"it lists {len(answer.wanted)} endpoints; at most {_MOST_LISTED} are believed")
    found: dict[str, Endpoint] = {}
    for each in answer.wanted:
        if each.url.lower().startswith(_NOT_SERVERS):
            raise SourceError(
                f"it lists {each.url}, which is no server; only a config may list what is on this machine"
            )
        if found.setdefault(each.identity, each) != each:
            raise SourceError(f"it lists two endpoints with the name {each.name}; give each a name of its own")
    return answer


class HookSpecs:
    """The hooks, all optional."""

    @hookspec
    def balancer_strategies(self) -> Iterable[type[Strategy]]:  # type: ignore[empty-body]
        """Return strategy classes."""

    @hookspec
    def balancer_sources(self) -> Iterable[type[Source]]:  # type: ignore[empty-body]
        """Return classes of sources of endpoints."""

    @hookspec
    def balancer_generators(self) -> Iterable[Generator]:  # type: ignore[empty-body]
        """Return generator objects."""

    @hookspec
    def balancer_executors(self) -> Iterable[ExecutorPlugin]:  # type: ignore[empty-body]
        """Return executors."""

    @hookspec
    def balancer_languages(self) -> "Iterable[Language]":  # type: ignore[empty-body]
        """Return programming languages."""

    @hookspec
    def balancer_routes(self) -> Iterable[RoutePlugin]:  # type: ignore[empty-body]
        """Return routes of a proxy."""

    @hookspec
    def balancer_commands(self, app: "typer.Typer") -> Any:
        """Add commands to the `balancer` command line."""
