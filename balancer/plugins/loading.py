"""Plugin loading: each plugin is checked on its own, and is set aside as a whole if anything is wrong.

A bad plugin is found when it is loaded, not when a lease is taken. If two plugins use one name, the later one is
refused. Nothing is stored here, so an interrupted load leaves nothing half done.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import getattr_static, isabstract
from typing import Any, Generic, TypeVar, cast

import pluggy

from balancer.errors import CommandStopped
from balancer.hookspecs import PROJECT, ExecutorPlugin, HookSpecs, RoutePlugin
from balancer.strategy import Strategy

__all__ = [
    "Broken",
    "HookKind",
    "Loaded",
    "Plugin",
    "Registered",
    "guarded",
    "has_options",
    "load_plugins",
    "names_of_executor",
    "names_of_generator",
    "names_of_language",
    "names_of_routes",
    "names_of_source",
    "names_of_strategy",
]

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_STRATEGY_METHODS = ("join", "leave", "change", "pick", "finish")


@dataclass(frozen=True, slots=True)
class HookKind(Generic[T]):
    """A kind of thing that plugins offer: its hook, and a function that returns the names of one, or raises."""

    hook: str
    names: Callable[[object], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Registered(Generic[T]):
    """A thing that a plugin offers, and the name of the plugin."""

    item: T
    plugin: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be used, and why, in one line."""

    plugin: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} is broken and is not used: {self.reason}"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module or object, and the functions of its hooks."""

    it: object
    hooks: Mapping[str, Callable[..., object]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a load: the good plugins by name, their offers by hook and name, and the broken plugins."""

    plugins: dict[str, Plugin] = field(default_factory=dict)
    offered: dict[str, dict[str, Registered[Any]]] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)


def load_plugins(
    sources: Iterable[tuple[str, Callable[[], object]]],
    kinds: Iterable[HookKind[Any]],
    taken: Callable[[HookKind[Any]], Mapping[str, Registered[Any]]] = lambda kind: {},
) -> Loaded:
    """Load the plugins of `sources`, and call their hooks one by one, the oldest plugin first.

    Args:
        sources: the name of each plugin, and a function that loads it.
        kinds: the kinds of things to ask for.
        taken: returns what others already offer of a kind. Called only for a kind that one of these plugins offers.
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
    for into in loaded.offered.values():  # a plugin is good or broken as a whole, even if only its last hook fails
        for offer in [offer for offer, entry in into.items() if entry.plugin not in loaded.plugins]:
            del into[offer]
    return loaded


def guarded(plugin: str, act: Callable[[], T], broken: list[Broken]) -> T | None:
    """Return what `act` returns. If it raises, even SystemExit, add the plugin to `broken` and return None.

    Raises:
        KeyboardInterrupt, CommandStopped: the program was stopped, which is not the plugin's fault.
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
    """Load a plugin. Raises its errors, and an error of pluggy or ValueError if its hooks are invalid."""
    it = load()
    if name in others:
        raise ValueError("another plugin of this name is loaded already; rename its entry point")
    same = next((other for other, plugin in others.items() if plugin.it is it), None)
    if same is not None:
        raise ValueError(f"it is loaded already, as {same!r}; remove one of the two entry points")
    manager = pluggy.PluginManager(PROJECT)  # a manager of its own, so that a broken plugin leaves nothing behind
    manager.add_hookspecs(HookSpecs)
    manager.register(it, name=name)
    manager.check_pending()
    hooks = {caller.name: caller.get_hookimpls()[0].function for caller in manager.get_hookcallers(it) or ()}
    if not hooks:
        raise ValueError("it implements no hook; mark its functions with @hookimpl")
    return Plugin(it, hooks)


def _offers(hook: Callable[..., object], kind: HookKind[T], taken: Mapping[str, Registered[T]]) -> dict[str, T]:
    """Return what a hook offers, by name. Raises TypeError for a wrong type, ValueError for a name that is taken."""
    offers: dict[str, T] = {}
    for item in cast(Iterable[T], hook()):
        for name in kind.names(item):
            if name in taken:
                raise ValueError(f"it offers {name!r}, which plugin {taken[name].plugin!r} offers already")
            if name in offers:
                raise ValueError(f"it offers {name!r} twice")
            offers[name] = item
    return offers


def names_of_strategy(item: object) -> tuple[str]:
    """Return the name of a strategy class. Raises TypeError if it is not one."""
    if not isinstance(item, type):
        raise TypeError(f"it offers {item!r} as a strategy; that must be a class")
    name = _name(item)
    lacking = [method for method in _STRATEGY_METHODS if not callable(getattr(item, method, None))]
    if lacking or isabstract(item):
        lacking = lacking or sorted(item.__abstractmethods__)  # type: ignore[attr-defined]  # it is abstract
        raise TypeError(f"its strategy {name!r} lacks {', '.join(lacking)}")
    if has_options(item) and not _is_model(options := getattr(item, "Options", None)):
        raise TypeError(f"its strategy {name!r} has the Options {options!r}; that must be a pydantic model")
    return (name,)


def has_options(kind: type) -> bool:
    """Return whether a class of strategies names `Options`. Does not import pydantic, which is slow, to find out."""
    return getattr_static(kind, "Options", None) is not vars(Strategy)["Options"]


def names_of_source(item: object) -> tuple[str]:
    """Return the name of a class of sources. Raises TypeError if it is not one."""
    from balancer.hookspecs import Source

    if not (isinstance(item, type) and issubclass(item, Source)):
        raise TypeError(f"it offers {item!r} as a source; that must be a subclass of balancer.hookspecs.Source")
    name = _name(item)
    if isabstract(item):
        raise TypeError(f"its source {name!r} lacks {', '.join(sorted(item.__abstractmethods__))}")
    if not _is_model(getattr(item, "Options", None)):
        raise TypeError(f"its source {name!r} has no Options; that must be a pydantic model")
    return (name,)


def names_of_generator(item: object) -> tuple[str]:
    """Return the name of a generator object. Raises TypeError if it is not one."""
    name = _name(item)
    able = any(callable(getattr(item, method, None)) for method in ("propose", "open", "equip"))
    if not able or isinstance(item, type):
        wanted = "an object with a method propose, open or equip"
        raise TypeError(f"its generator {name!r} is {item!r}; that must be {wanted}")
    return (name,)


def names_of_executor(item: object) -> tuple[str, ...]:
    """Return the schemes of an executor plugin. Raises TypeError if it is not one."""
    if not isinstance(item, ExecutorPlugin):
        raise TypeError(f"it offers {item!r} as an executor; that must be an ExecutorPlugin")
    if not isinstance(item.schemes, tuple) or not all(isinstance(scheme, str) and scheme for scheme in item.schemes):
        raise TypeError(f"its executor has the schemes {item.schemes!r}; that must be a tuple of strings")
    return item.schemes


def names_of_routes(item: object) -> tuple[str]:
    """Return the name of a route plugin. Raises TypeError if it is not one."""
    if not isinstance(item, RoutePlugin):
        raise TypeError(f"it offers {item!r} as routes; that must be a RoutePlugin")
    return (_name(item),)


def names_of_language(item: object) -> tuple[str]:
    """Return the name of a language. Raises TypeError if it is not one."""
    from balancer.program import Language  # imported here: leasing alone does not need it

    if not isinstance(item, Language):
        raise TypeError(f"it offers {item!r} as a language; that must be a balancer.program.Language")
    for key in ("file", "name"):
        value = getattr(item, key)
        if not (isinstance(value, str) and _NAME.fullmatch(value)):
            raise TypeError(f"its language has the {key} {value!r}; that must be a plain word, e.g. 'main.zig'")
    for command in (item.run, item.compile, item.pragmatic, item.extensions, item.tools):
        if not (isinstance(command, tuple) and all(isinstance(part, str) for part in command)):
            raise TypeError(f"its language {item.name!r} has {command!r}; commands and lists are tuples of strings")
    if not item.run:
        raise TypeError(f"its language {item.name!r} has no command to run a program")
    return (item.name,)


def _is_model(options: object) -> bool:
    from pydantic import BaseModel  # imported here: it is slow, and many plugins need none

    return isinstance(options, type) and issubclass(options, BaseModel)


def _name(item: object) -> str:
    name = getattr(item, "name", None)
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise TypeError(
            f"it offers {item!r} under the name {name!r}; a name has letters, digits, '_', '-' and '.', and "
            "begins with a letter or a digit"
        )
    return name
