"""What a plugin may add: strategies, input generators, executors, languages, commands.

Hooks run once, when the plugins are loaded; nothing here is called while leases are taken.
A plugin is any module or object with functions marked `@hookimpl`; a distribution offers it through
the entry-point group `balancer`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pluggy

from balancer.strategy import Strategy

if TYPE_CHECKING:
    import random

    import typer

    from balancer.language import Language
    from balancer.problem import Problem, Proposal
    from balancer.program import Executor, ExecutorOptions

__all__ = ["PROJECT", "ExecutorPlugin", "Generator", "HookSpecs", "hookimpl", "hookspec"]

PROJECT = "balancer"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Generator(Protocol):
    """Proposes test inputs for a problem. One object serves all problems, from several threads."""

    name: ClassVar[str]

    def propose(self, problem: "Problem", rng: "random.Random", budget: int) -> "Iterable[Proposal]":
        """Yield at most `budget` inputs; lazily, the most telling first. Same problem and seed, same inputs."""
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


class HookSpecs:
    """The hooks, all optional."""

    @hookspec
    def balancer_strategies(self) -> Iterable[type[Strategy]]:  # type: ignore[empty-body]
        """Return strategy classes."""

    @hookspec
    def balancer_generators(self) -> Iterable[Generator]:  # type: ignore[empty-body]
        """Return generator objects."""

    @hookspec
    def balancer_executors(self) -> Iterable[ExecutorPlugin]:  # type: ignore[empty-body]
        """Return executors."""

    @hookspec
    def balancer_languages(self) -> "Iterable[Language]":  # type: ignore[empty-body]
        """Return languages that programs may be written in."""

    @hookspec
    def balancer_commands(self, app: "typer.Typer") -> Any:
        """Add commands to the `balancer` command line."""
