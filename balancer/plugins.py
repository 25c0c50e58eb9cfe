"""The plugins: which there are, what they offer, and which are broken.

Built-ins are loaded by dotted name, so that nothing here imports them; third parties by the
entry-point group `balancer`. A plugin that fails to load, or whose hook fails, is set aside and named
in every error that its absence might explain; the others go on.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

import pluggy
from pydantic import ValidationError

from balancer.errors import ConfigError
from balancer.hookspecs import PROJECT, ExecutorPlugin, Generator, HookSpecs
from balancer.strategy import Strategy
from balancer.wording import describe, did_you_mean

__all__ = ["BUILT_INS", "Broken", "Registered", "Registry", "default_registry"]

BUILT_INS = (
    "strategies.fifo",
    "strategies.least_in_flight",
    "strategies.weighted_health",
    "balancer.pipeline.generators.data",
    "balancer.pipeline.generators.mutate",
    "balancer.sandbox.plugin",
    "balancer.sandbox.commands",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Registered(Generic[T]):
    """Something a plugin offers, and that plugin's name."""

    item: T
    plugin: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be used, and why, in one line."""

    plugin: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} is broken and was set aside: {self.reason}"


class Registry:
    """What all usable plugins offer, by name.

    Args:
        built_ins: dotted names of modules to load.
        group: the entry-point group of third parties, or None to load none.

    Attributes:
        strategies, generators: by their `name`.
        executors: by URL scheme.
        broken: the plugins that were set aside.
    """

    def __init__(self, built_ins: Iterable[str] = BUILT_INS, group: str | None = PROJECT) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(HookSpecs)
        self.broken: list[Broken] = []
        for dotted in built_ins:
            self._register(dotted, partial(import_module, dotted))
        for entry in entry_points(group=group) if group else ():
            self._register(entry.name, entry.load)
        self.strategies: dict[str, Registered[type[Strategy]]] = {}
        self.generators: dict[str, Registered[Generator]] = {}
        self.executors: dict[str, Registered[ExecutorPlugin]] = {}
        self._collect("balancer_strategies", self.strategies, lambda item: (item.name,))
        self._collect("balancer_generators", self.generators, lambda item: (item.name,))
        self._collect("balancer_executors", self.executors, lambda item: item.schemes)

    def strategy(self, name: str, options: Mapping[str, Any] | None, rng: random.Random) -> Strategy:
        """Return a fresh strategy.

        Raises:
            ConfigError: no usable plugin has one of this name, or an option is wrong.
        """
        kind = self.find(name, self.strategies, "strategy")
        return kind(self.strategy_options(name, options), rng)

    def strategy_options(self, name: str, options: Mapping[str, Any] | None) -> Any:
        """Return the validated options model of strategy `name`. Raises ConfigError, a line an option."""
        kind = self.find(name, self.strategies, "strategy")
        try:
            return kind.Options.model_validate(dict(options or {}))
        except ValidationError as error:
            fields = kind.Options.model_fields
            raise ConfigError(
                f"strategy {name!r}, option {'.'.join(map(str, e['loc']))}: {describe(e, fields)}"
                for e in error.errors()
            ) from None

    def find(self, name: str, among: Mapping[str, Registered[T]], noun: str) -> T:
        """Return what is registered as `name`, or raise ConfigError with the nearest name that is."""
        if name in among:
            return among[name].item
        lines = [f"unknown {noun} {name!r}{did_you_mean(name, among)} (there are: {', '.join(sorted(among))})"]
        raise ConfigError([*lines, *map(str, self.broken)])

    def add_commands(self, app: Any) -> None:
        """Let every plugin add its commands to the typer application `app`."""
        for implementation in self.manager.hook.balancer_commands.get_hookimpls():
            self._guard(implementation.plugin_name, partial(implementation.function, app))

    def _register(self, name: str, load: Callable[[], object]) -> None:
        def register() -> None:
            plugin = load()
            self.manager.register(plugin, name=name)
            self.manager.check_pending()

        self._guard(name, register)

    def _collect(self, hook: str, into: dict[str, Registered[T]], names: Callable[[T], Iterable[str]]) -> None:
        """Ask each plugin on its own, oldest first, so that a failure has a culprit."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            plugin = implementation.plugin_name
            named: Callable[[], list[tuple[str, T]]] = partial(_offers, implementation.function, names)
            for name, item in self._guard(plugin, named) or ():
                if name in into:
                    taken = f"it offers {name!r}, which plugin {into[name].plugin!r} offers already"
                    self.broken.append(Broken(plugin, taken))
                else:
                    into[name] = Registered(item, plugin)

    def _guard(self, plugin: str, act: Callable[[], T]) -> T | None:
        """Run `act`; a plugin may fail in any way, even with SystemExit, and is then set aside."""
        try:
            return act()
        except (Exception, SystemExit) as error:
            self.broken.append(Broken(plugin, " ".join(f"{type(error).__name__}: {error}".split())))
            if self.manager.has_plugin(plugin):
                self.manager.unregister(name=plugin)
            return None


def _offers(hook: Callable[..., object], names: Callable[[T], Iterable[str]]) -> list[tuple[str, T]]:
    return [(name, item) for item in cast(Iterable[T], hook()) for name in names(item)]


@lru_cache(maxsize=1)
def default_registry() -> Registry:
    """Return the registry of everything installed; loaded at the first call."""
    return Registry()
