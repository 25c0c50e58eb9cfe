"""Plugin loading: each plugin is checked on its own, and set aside whole if anything is wrong.

Decides which plugin is broken, and which of two may have a name. Keeps nothing, so that an interrupted load leaves
nothing half done. It must not know which plugins there are.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

import pluggy

from balancer.errors import CommandStopped
from balancer.hookspecs import PROJECT, HookSpecs

__all__ = ["Broken", "HookKind", "Loaded", "Plugin", "Registered", "guarded", "load_plugins"]

_RENAMED: Final = {"balancer_foretellers": "balancer_forecasters"}  # hooks of 0.1, gone in 0.3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HookKind(Generic[T]):
    """What a plugin may offer: the hook that is asked for it, and what returns its names, or raises if it is none."""

    hook: str
    names: Callable[[object], Iterable[str]]


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


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module or object, and the functions of its hooks."""

    it: object
    hooks: Mapping[str, Callable[..., object]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a load: the sound plugins by name, what they offer by hook and name, and those set aside."""

    plugins: dict[str, Plugin] = field(default_factory=dict)
    offered: dict[str, dict[str, Registered[Any]]] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)


def load_plugins(
    sources: Iterable[tuple[str, Callable[[], object]]],
    kinds: Iterable[HookKind[Any]],
    taken: Callable[[HookKind[Any]], Mapping[str, Registered[Any]]] = lambda kind: {},
) -> Loaded:
    """Load the plugins of `sources`, and ask each on its own, oldest first, so that a failure has a culprit.

    Args:
        sources: the name of each plugin, and what loads it.
        kinds: what they are asked for.
        taken: what others offer of a kind already; called only for a kind that one of these plugins offers.
    """
    loaded = Loaded()
    for name, load in sources:
        plugin = guarded(name, partial(_look_at, name, load, loaded.plugins), loaded.broken)
        if plugin is not None:
            loaded.plugins[name] = plugin
    for kind in kinds:
        into = loaded.offered[kind.hook] = {}
        for name, plugin in list(loaded.plugins.items()):
            if kind.hook in plugin.hooks:
                offers = partial(_offers, plugin.hooks[kind.hook], kind, {**taken(kind), **into})
                found = guarded(name, offers, loaded.broken)
                if found is None:
                    del loaded.plugins[name]
                else:
                    into.update({offer: Registered(item, name) for offer, item in found.items()})
    for into in loaded.offered.values():  # a plugin is sound or it is not, also if its last hook fails
        for offer in [offer for offer, entry in into.items() if entry.plugin not in loaded.plugins]:
            del into[offer]
    return loaded


def guarded(plugin: str, act: Callable[[], T], broken: list[Broken]) -> T | None:
    """Return what `act` returns; a plugin may fail in any way, even with SystemExit, and is then added to `broken`.

    Raises:
        KeyboardInterrupt, CommandStopped: somebody has stopped the program; that is no fault of the plugin.
    """
    try:
        return act()
    except (KeyboardInterrupt, CommandStopped) as stopped:
        stopped.add_note(f"while plugin {plugin!r} was loaded")
        raise
    except (Exception, SystemExit) as error:
        broken.append(Broken(plugin, " ".join(f"{type(error).__name__}: {error}".split())))
        return None


def _look_at(name: str, load: Callable[[], object], others: Mapping[str, Plugin]) -> Plugin:
    """Load a plugin. Raises whatever it raises, and an error of pluggy or ValueError if its hooks are not sound."""
    it = load()
    if name in others:
        raise ValueError("another plugin of this name is loaded already; rename its entry point")
    same = next((other for other, plugin in others.items() if plugin.it is it), None)
    if same is not None:
        raise ValueError(f"it is loaded already, as {same!r}; remove one of the two entry points")
    manager = pluggy.PluginManager(PROJECT)  # of its own, so that nothing is left of a plugin that is set aside
    manager.add_hookspecs(HookSpecs)
    manager.register(it, name=name)
    manager.check_pending()
    hooks = {
        _RENAMED.get(caller.name, caller.name): caller.get_hookimpls()[0].function
        for caller in manager.get_hookcallers(it) or ()
    }
    if not hooks:
        raise ValueError("it implements no hook; mark its functions with @hookimpl")
    return Plugin(it, hooks)


def _offers(hook: Callable[..., object], kind: HookKind[T], taken: Mapping[str, Registered[T]]) -> dict[str, T]:
    """Return what a hook offers, by name. Raises TypeError for rubbish, ValueError for a name that is taken."""
    offers: dict[str, T] = {}
    for item in cast(Iterable[T], hook()):
        for name in kind.names(item):
            if name in taken:
                raise ValueError(f"it offers {name!r}, which plugin {taken[name].plugin!r} offers already")
            if name in offers:
                raise ValueError(f"it offers {name!r} twice")
            offers[name] = item
    return offers
