"""The plugin registry: what all plugins offer, by name, loaded on demand.

A built-in strategy is loaded alone, when its name is asked for; its module has the same name. A list of one kind loads
the built-ins of that kind, and all third-party plugins (entry-point group `balancer`). A broken plugin is set aside;
the others go on. It is named in every error that it might explain.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pkgutil import iter_modules
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from balancer.errors import BalancerError, ConfigError, StrategyError
from balancer.hookspecs import (
    PROJECT,
    ExecutorPlugin,
    Generator,
    RoutePlugin,
)
from balancer.plugins.extras import require
from balancer.plugins.loading import (
    Broken,
    HookKind,
    Loaded,
    Registered,
    guarded,
    has_options,
    load_plugins,
    names_of_executor,
    names_of_generator,
    names_of_language,
    names_of_routes,
    names_of_source,
    names_of_strategy,
)
from balancer.strategy import Strategy
from balancer.values.wording import describe, did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel

    from balancer.hookspecs import EndpointTemplate, Source
    from balancer.program import Language

__all__ = ["Broken", "Registered", "Registry", "built_ins", "checked_options", "default_registry"]

_STRATEGIES: Final[HookKind[type[Strategy]]] = HookKind("balancer_strategies", names_of_strategy)
_GENERATORS: Final[HookKind[Generator]] = HookKind("balancer_generators", names_of_generator)
_EXECUTORS: Final[HookKind[ExecutorPlugin]] = HookKind("balancer_executors", names_of_executor)
_LANGUAGES: Final[HookKind["Language"]] = HookKind("balancer_languages", names_of_language)
_ROUTES: Final[HookKind[RoutePlugin]] = HookKind("balancer_routes", names_of_routes)
_SOURCES: Final[HookKind[type["Source"]]] = HookKind("balancer_sources", names_of_source)
_KINDS: Final[tuple[HookKind[Any], ...]] = (
    _STRATEGIES,
    _SOURCES,
    _GENERATORS,
    _EXECUTORS,
    _LANGUAGES,
    _ROUTES,
)
_COMMANDS: Final = "balancer_commands"

_BY_HAND = "added by hand"

T = TypeVar("T")


class Registry:
    """What all usable plugins offer, by name. Thread-safe.

    Args:
        modules: dotted names of modules to load instead of the built-ins; None: the built-ins.
        group: the entry-point group of third parties, or None to load none.
    """

    def __init__(self, modules: Iterable[str] | None = None, group: str | None = PROJECT) -> None:
        self._modules = None if modules is None else tuple(modules)
        self._group = group
        # Loads run without a lock, as an import may wait for another thread. The first finished load counts.
        self._settling = Lock()
        self._alone: dict[str, type[Strategy]] = {}  # built-in strategies that were loaded by name
        self._built_in: dict[str, Loaded] = {}  # by kind of hook
        self._others: Loaded | None = None
        self._all: dict[str, dict[str, Registered[Any]]] = {}  # by kind of hook
        self._failed: list[Broken] = []  # those whose commands failed

    @property
    def strategies(self) -> dict[str, Registered[type[Strategy]]]:
        """All strategies, by name."""
        return self._all_of(_STRATEGIES)

    @property
    def sources(self) -> dict[str, Registered[type["Source"]]]:
        """All sources of endpoints, by name."""
        return self._all_of(_SOURCES)

    @property
    def generators(self) -> dict[str, Registered[Generator]]:
        """All generators, by name."""
        return self._all_of(_GENERATORS)

    @property
    def executors(self) -> dict[str, Registered[ExecutorPlugin]]:
        """All executors, by URL scheme."""
        return self._all_of(_EXECUTORS)

    @property
    def languages(self) -> dict[str, Registered["Language"]]:
        """All languages, by name; the built-in ones first."""
        return self._all_of(_LANGUAGES)

    @property
    def routes(self) -> dict[str, Registered[RoutePlugin]]:
        """All routes of a proxy, by name."""
        return self._all_of(_ROUTES)

    @property
    def broken(self) -> list[Broken]:
        """The broken plugins. Loads all plugins."""
        loads = [*(self._built_ins_of(kind) for kind in _KINDS), self._third_parties()]
        return [*(broken for loaded in loads for broken in loaded.broken), *self._failed]

    def add_strategy(self, kind: type[Strategy]) -> None:
        """Add a strategy that no plugin offers, e.g. one of a notebook. The class of a plugin is there already.

        Raises:
            TypeError: it is not a strategy.
            ValueError: the name is taken. A strategy that was added by this method may be replaced.
        """
        (name,) = names_of_strategy(kind)
        known = self.strategies.get(name)
        if known is not None and known.item is kind:
            return
        if known is not None and known.plugin != _BY_HAND:
            raise ValueError(f"plugin {known.plugin!r} offers {name!r} already; give it another name")
        self.strategies[name] = Registered(kind, _BY_HAND)

    def strategy(self, name: str | type[Strategy], options: Mapping[str, Any] | None, rng: random.Random) -> Strategy:
        """Return a new strategy.

        Args:
            name: its name, or its class. A class is also added to the registry: see `add_strategy`.
            options: its options.
            rng: for its random choices.

        Raises:
            ConfigError: no usable plugin has this strategy, or an option is wrong.
            StrategyError: its constructor raised.
            TypeError: `name` is neither a string nor the class of a strategy.
        """
        if not isinstance(name, str | type):
            raise TypeError(f"strategy is {name!r}; it takes the name of a strategy, or a class of your own")
        if not isinstance(name, str):
            self.add_strategy(name)
            name = name.name
        kind = self._strategy(name)
        chosen = self.strategy_options(name, options) if options or has_options(kind) else None
        try:
            return kind(chosen, rng)
        except BalancerError:
            raise
        except Exception as error:
            raise StrategyError(name, f"raised {error!r} in __init__") from error

    def strategy_options(self, name: str, options: Mapping[str, Any] | None) -> Any:
        """Return the validated options model of strategy `name`. Raises ConfigError, with a line for each option."""
        return checked_options(f"strategy {name!r}", self._strategy(name).Options, options)

    def source(
        self, kind: "str | type[Source]", options: Mapping[str, Any] | None, template: "EndpointTemplate"
    ) -> "Source":
        """Return a new source, by its name or its class.

        Raises:
            ConfigError: no usable plugin has this source, or an option is wrong.
            MissingExtra: it needs an extra that is not installed.
        """
        found = self.find(kind, self.sources, "source") if isinstance(kind, str) else kind
        if found.extra is not None:
            require(found.extra, f"the source {found.name!r}")
        return found(checked_options(f"source {found.name!r}", found.Options, options), template)

    def find(self, name: str, among: Mapping[str, Registered[T]], noun: str) -> T:
        """Return the entry `name`, or raise ConfigError with the nearest existing name."""
        if name in among:
            return among[name].item
        lines = [f"unknown {noun} {name!r}{did_you_mean(name, among)} (there are: {', '.join(sorted(among))})"]
        raise ConfigError([*lines, *map(str, self.broken)])

    def add_commands(self, app: Any) -> None:
        """Add the commands of all plugins to the typer application `app`."""
        built_in = self._load_built_ins(built_ins(_COMMANDS), ())
        self._failed += built_in.broken
        for name, plugin in [*built_in.plugins.items(), *self._third_parties().plugins.items()]:
            if _COMMANDS in plugin.hooks:
                guarded(name, partial(plugin.hooks[_COMMANDS], app), self._failed)

    # -- what is loaded when -----------------------------------------------------------------------

    def _strategy(self, name: str) -> type[Strategy]:
        """Return the class of strategy `name`. A built-in one is loaded alone. Raises ConfigError."""
        if name not in self._alone and _STRATEGIES.hook not in self._all:
            modules = [module for module in built_ins(_STRATEGIES.hook) if module.rpartition(".")[2] == name]
            offered = self._load_built_ins(modules, (_STRATEGIES,)).offered[_STRATEGIES.hook]
            self._alone.update({name: offered[name].item} if name in offered else {})
        if name in self._alone and _STRATEGIES.hook not in self._all:
            return self._alone[name]
        return self.find(name, self.strategies, "strategy")

    def _all_of(self, kind: HookKind[T]) -> dict[str, Registered[T]]:
        if kind.hook not in self._all:
            offered = self._built_ins_of(kind).offered[kind.hook] | self._third_parties().offered[kind.hook]
            with self._settling:
                self._all.setdefault(kind.hook, offered)
        return self._all[kind.hook]

    def _built_ins_of(self, kind: HookKind[Any]) -> Loaded:
        if kind.hook not in self._built_in:
            loaded = self._load_built_ins(built_ins(kind.hook), (kind,))
            with self._settling:
                self._built_in.setdefault(kind.hook, loaded)
        return self._built_in[kind.hook]

    def _load_built_ins(self, modules: Iterable[str], kinds: Iterable[HookKind[Any]]) -> Loaded:
        return load_plugins(_importing(modules if self._modules is None else ()), kinds)

    def _third_parties(self) -> Loaded:
        """Return what the given modules and the entry points offer, all kinds at once."""
        if self._others is None:
            loaded = load_plugins(
                [*_importing(self._modules or ()), *_entry_points(self._group)],
                _KINDS,
                lambda kind: self._built_ins_of(kind).offered[kind.hook],
            )
            with self._settling:
                self._others = self._others or loaded
        return self._others


def checked_options(whose: str, kind: "type[BaseModel]", options: Mapping[str, Any] | None) -> Any:
    """Return the validated options. Raises ConfigError, with a line for each option."""
    from pydantic import ValidationError  # imported here: it is slow, and a list of commands needs no options

    try:
        return kind.model_validate(dict(options or {}))
    except ValidationError as error:
        raise ConfigError(
            # A text may come from the environment, which only the config knows. So it is not shown.
            f"{whose}{', option ' * bool(e['loc'])}{'.'.join(map(str, e['loc']))}: "
            f"{describe(e, kind.model_fields, secret=isinstance(e['input'], str) or 'token' in e['loc'])}"
            for e in error.errors()
        ) from None


def _importing(modules: Iterable[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    return ((module, partial(import_module, module)) for module in modules)


def _entry_points(group: str | None) -> Iterator[tuple[str, Callable[[], object]]]:
    if group is not None:
        from importlib.metadata import entry_points  # imported here: it takes longer than all else here

        yield from ((entry.name, entry.load) for entry in entry_points(group=group))


@lru_cache(maxsize=1)
def default_registry() -> Registry:
    """Return the registry of everything installed."""
    return Registry()


# -- the built-ins: found by where their files lie, so that a new one is one file, and no list names it ---------

_COMMAND_MODULES = ("balancer.commands.proxy", "balancer.sandbox.server.command", "balancer_simulator.commands")


def built_ins(hook: str) -> tuple[str, ...]:
    """Return the dotted names of the modules that implement `hook`, in order. Imports only their packages."""
    return tuple(_FOUND[hook]())


def _modules_of(package: str) -> Iterator[str]:
    """Yield each module that is directly in `package`."""
    for module in iter_modules(_spec(package).submodule_search_locations):
        if not module.ispkg:
            yield f"{package}.{module.name}"


def _spec(package: str) -> ModuleSpec:
    found = find_spec(package)
    if found is None:
        raise ModuleNotFoundError(f"No module named {package!r}; install balancer again", name=package)
    return found


_FOUND: Mapping[str, Callable[[], Iterator[str]]] = {
    "balancer_strategies": partial(_modules_of, "balancer_strategies"),
    "balancer_generators": partial(_modules_of, "balancer.pipeline.generators"),
    "balancer_sources": partial(_modules_of, "balancer.discovery.sources"),
    "balancer_executors": lambda: iter(("balancer.sandbox.local", *_modules_of("balancer.sandbox.servers"))),
    "balancer_languages": lambda: iter(("balancer.sandbox.languages.table",)),
    "balancer_routes": lambda: iter(("balancer.judge.gateway",)),
    "balancer_commands": partial(iter, _COMMAND_MODULES),
}
