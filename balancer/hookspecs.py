"""Plugin hooks: strategies, sources, generators, executors, languages, routes and commands.

Hooks run once, when the plugins are loaded. A plugin is a module or an object with functions marked `@hookimpl`. A
distribution offers it in the entry-point group `balancer`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pluggy

from balancer.strategy import Strategy

if TYPE_CHECKING:
    import random

    import typer

    from balancer.language import Language
    from balancer.problem import Problem, Proposal
    from balancer.program import Executor, ExecutorOptions
    from balancer.source import Source

__all__ = [
    "PROJECT",
    "ExecutorPlugin",
    "Generator",
    "HookSpecs",
    "HttpAnswer",
    "HttpCall",
    "Route",
    "RoutePlugin",
    "Routes",
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


class HookSpecs:
    """The hooks, all optional."""

    @hookspec
    def balancer_strategies(self) -> Iterable[type[Strategy]]:  # type: ignore[empty-body]
        """Return strategy classes."""

    @hookspec
    def balancer_sources(self) -> "Iterable[type[Source]]":  # type: ignore[empty-body]
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
