"""Plugin validation: is it what the hook asks for, and what is its name?

Whatever is not as the hook asks is refused here, so that a bad plugin is found out when it is loaded and not when a
lease is taken. The registry decides what becomes of it.
"""

import re
from inspect import isabstract
from typing import Any

from pydantic import BaseModel

from balancer.hookspecs import ExecutorPlugin, ForecasterPlugin

__all__ = ["names_of_executor", "names_of_forecaster", "names_of_generator", "names_of_language", "names_of_strategy"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_STRATEGY_METHODS = ("join", "leave", "change", "pick", "finish")


def names_of_strategy(item: object) -> tuple[str]:
    """Return the name of a strategy class. Raises TypeError if it is none."""
    if not isinstance(item, type):
        raise TypeError(f"it offers {item!r} as a strategy; that must be a class")
    name = _name(item)
    lacking = [method for method in _STRATEGY_METHODS if not callable(getattr(item, method, None))]
    if lacking or isabstract(item):
        lacking = lacking or sorted(item.__abstractmethods__)  # type: ignore[attr-defined]  # it is abstract
        raise TypeError(f"its strategy {name!r} lacks {', '.join(lacking)}")
    options: Any = getattr(item, "Options", None)
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise TypeError(f"its strategy {name!r} has the Options {options!r}; that must be a pydantic model")
    return (name,)


def names_of_generator(item: object) -> tuple[str]:
    """Return the name of a generator object. Raises TypeError if it is none."""
    name = _name(item)
    able = any(callable(getattr(item, method, None)) for method in ("propose", "open", "equip"))
    if not able or isinstance(item, type):
        wanted = "an object with a method propose, open or equip"
        raise TypeError(f"its generator {name!r} is {item!r}; that must be {wanted}")
    return (name,)


def names_of_executor(item: object) -> tuple[str, ...]:
    """Return the schemes of an executor plugin. Raises TypeError if it is none."""
    if not isinstance(item, ExecutorPlugin):
        raise TypeError(f"it offers {item!r} as an executor; that must be an ExecutorPlugin")
    if not isinstance(item.schemes, tuple) or not all(isinstance(scheme, str) and scheme for scheme in item.schemes):
        raise TypeError(f"its executor has the schemes {item.schemes!r}; that must be a tuple of strings")
    return item.schemes


def names_of_forecaster(item: object) -> tuple[str]:
    """Return the name of a forecaster plugin. Raises TypeError if it is none."""
    if not isinstance(item, ForecasterPlugin):
        raise TypeError(f"it offers {item!r} as a forecaster; that must be a ForecasterPlugin")
    name = _name(item)
    module, _, function = item.function.partition(":") if isinstance(item.function, str) else ("", "", "")
    if not (module and function.isidentifier()):
        raise TypeError(f"its forecaster {name!r} has the function {item.function!r}; that must be 'module:function'")
    return (name,)


def names_of_language(item: object) -> tuple[str]:
    """Return the name of a language. Raises TypeError if it is none."""
    from balancer.language import Language  # whoever only leases must not pay for it

    if not isinstance(item, Language):
        raise TypeError(f"it offers {item!r} as a language; that must be a balancer.language.Language")
    for field in ("file", "name"):
        value = getattr(item, field)
        if not (isinstance(value, str) and _NAME.fullmatch(value)):
            raise TypeError(f"its language has the {field} {value!r}; that must be a plain word, e.g. 'main.zig'")
    for command in (item.run, item.compile, item.pragmatic, item.extensions, item.tools):
        if not (isinstance(command, tuple) and all(isinstance(part, str) for part in command)):
            raise TypeError(f"its language {item.name!r} has {command!r}; commands and lists are tuples of strings")
    if not item.run:
        raise TypeError(f"its language {item.name!r} has no command to run a program")
    return (item.name,)


def _name(item: object) -> str:
    name = getattr(item, "name", None)
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise TypeError(
            f"it offers {item!r} under the name {name!r}; a name has letters, digits, '_', '-' and '.', and "
            "begins with a letter or a digit, so that a config, a command line and a table can hold it"
        )
    return name
