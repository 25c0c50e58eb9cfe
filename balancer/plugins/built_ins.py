"""The built-ins of each kind: in which rooms their modules lie.

Decides which modules are asked for a kind of hook: by where a file lies, so that a new built-in is one file, and no
list names it. It must import none of them; the registry does that, for the kind that is needed.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pkgutil import iter_modules

__all__ = ["built_ins"]

_COMMANDS = ("balancer.sandbox.server.command", "balancer_simulator.commands")


def built_ins(hook: str) -> tuple[str, ...]:
    """Return the dotted names of the modules that implement `hook`, in order; none is imported, only their packages."""
    return tuple(_FOUND[hook]())


def _modules_of(package: str) -> Iterator[str]:
    """Each module that lies directly in `package`."""
    for module in iter_modules(_spec(package).submodule_search_locations):
        if not module.ispkg:
            yield f"{package}.{module.name}"


def _rooms_of(package: str, module: str) -> Iterator[str]:
    """Each room in `package` that has a `module`."""
    for folder in _spec(package).submodule_search_locations or ():
        for room in iter_modules([folder]):
            if room.ispkg and any(each.name == module for each in iter_modules([f"{folder}/{room.name}"])):
                yield f"{package}.{room.name}"


def _spec(package: str) -> ModuleSpec:
    found = find_spec(package)
    if found is None:
        raise ModuleNotFoundError(f"No module named {package!r}; install balancer again", name=package)
    return found


_FOUND: Mapping[str, Callable[[], Iterator[str]]] = {
    "balancer_strategies": partial(_modules_of, "balancer_strategies"),
    "balancer_generators": partial(_modules_of, "balancer.pipeline.generators"),
    "balancer_executors": partial(_rooms_of, "balancer.sandbox", "executor"),
    "balancer_languages": lambda: iter(("balancer.sandbox.languages.table",)),
    "balancer_forecasters": lambda: iter(("balancer_simulator.commands",)),
    "balancer_commands": partial(iter, _COMMANDS),
}
