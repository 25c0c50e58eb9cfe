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
from balancer.plugins.vetting import names_of_executor, names_of_generator, names_of_strategy
from balancer.settings.wording import describe, did_you_mean
from balancer.strategy import Strategy

__all__ = ["BUILT_INS", "Broken", "Registered", "Registry", "default_registry"]

BUILT_INS = (
    "balancer_strategies.c3",
    "balancer_strategies.fifo",
    "balancer_strategies.first",
    "balancer_strategies.jiq",
    "balancer_strategies.least_in_flight",
    "balancer_strategies.p2c",
    "balancer_strategies.peak_ewma",
    "balancer_strategies.prequal",
    "balancer_strategies.random",
    "balancer_strategies.rendezvous",
    "balancer_strategies.round_robin",
    "balancer_strategies.weighted_health",
    "balancer_strategies.weighted_least_request",
    "balancer_strategies.weighted_round_robin",
    "balancer.pipeline.generators.data",
    "balancer.pipeline.generators.mutate",
    "balancer.sandbox.plugin",
    "balancer.sandbox.server.command",
    "balancer_simulator.commands",
)

_BY_HAND = "added by hand"

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
        self._collect("balancer_strategies", self.strategies, names_of_strategy)
        self._collect("balancer_generators", self.generators, names_of_generator)
        self._collect("balancer_executors", self.executors, names_of_executor)
        self._forget_set_aside(self.strategies)
        self._forget_set_aside(self.generators)
        self._forget_set_aside(self.executors)

    def add_strategy(self, kind: type[Strategy]) -> None:
        """Offer a strategy that no plugin offers, e.g. one that is being written in a notebook.

        Raises:
            TypeError: it is no strategy.
            ValueError: there is one of this name; a later version may replace one that was added so.
        """
        (name,) = names_of_strategy(kind)
        if name in self.strategies and self.strategies[name].plugin != _BY_HAND:
            raise ValueError(f"plugin {self.strategies[name].plugin!r} offers {name!r} already; give it another name")
        self.strategies[name] = Registered(kind, _BY_HAND)

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
                # A text may have come from the environment, which the config alone knows, so it is not shown.
                f"strategy {name!r}, option {'.'.join(map(str, e['loc']))}: "
                f"{describe(e, fields, secret=isinstance(e['input'], str))}"
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
            if self.manager.has_plugin(name):  # that one is sound, so it must not be set aside with this one
                raise ValueError("another plugin of this name is loaded already; rename its entry point")
            try:
                self.manager.register(plugin, name=name)
                self.manager.check_pending()
                if not self.manager.get_hookcallers(plugin):
                    raise ValueError("it implements no hook; mark its functions with @hookimpl")
            except Exception:
                self._set_aside(name)
                raise

        self._guard(name, register)

    def _collect(self, hook: str, into: dict[str, Registered[T]], names: Callable[[object], Iterable[str]]) -> None:
        """Ask each plugin on its own, oldest first, so that a failure has a culprit."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            plugin = implementation.plugin_name
            offers: Callable[[], dict[str, T]] = partial(_offers, implementation.function, names, into)
            found = self._guard(plugin, offers)
            if found is None:
                self._set_aside(plugin)
            else:
                into.update({name: Registered(item, plugin) for name, item in found.items()})

    def _forget_set_aside(self, offered: dict[str, Registered[T]]) -> None:
        """Drop what a plugin offered before another of its hooks failed: a plugin is sound or it is not."""
        for name, entry in list(offered.items()):
            if not self.manager.has_plugin(entry.plugin):
                del offered[name]

    def _set_aside(self, plugin: str) -> None:
        if self.manager.has_plugin(plugin):
            self.manager.unregister(name=plugin)

    def _guard(self, plugin: str, act: Callable[[], T]) -> T | None:
        """Run `act`; a plugin may fail in any way, even with SystemExit, and is then named as broken."""
        try:
            return act()
        except (Exception, SystemExit) as error:
            self.broken.append(Broken(plugin, " ".join(f"{type(error).__name__}: {error}".split())))
            return None


def _offers(
    hook: Callable[..., object], names: Callable[[object], Iterable[str]], taken: Mapping[str, Registered[T]]
) -> dict[str, T]:
    """Return what a hook offers, by name. Raises TypeError for rubbish, ValueError for a name that is taken."""
    offers: dict[str, T] = {}
    for item in cast(Iterable[T], hook()):
        for name in names(item):
            if name in taken:
                raise ValueError(f"it offers {name!r}, which plugin {taken[name].plugin!r} offers already")
            if name in offers:
                raise ValueError(f"it offers {name!r} twice")
            offers[name] = item
    return offers


@lru_cache(maxsize=1)
def default_registry() -> Registry:
    """Return the registry of everything installed; loaded at the first call."""
    return Registry()
