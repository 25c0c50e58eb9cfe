"""From a grammar: the drawing program of a checktestdata grammar. It has the library and `grammar_draws`."""

from functools import cache
from importlib.resources import files

from balancer.pipeline.packages.validators import checktestdata_modules, grammar_in
from balancer.program import Program

__all__ = ["drawing_program"]

_ROOM = "balancer.pipeline.generators.drawing"
_LAUNCHER = """\
import sys
import types

MODULES = {modules!r}
GRAMMAR = {grammar!r}

for name, source in MODULES:
    *parents, own = name.split(".")
    for count in range(len(parents)):
        parent = ".".join(parents[: count + 1])
        if parent not in sys.modules:
            sys.modules[parent] = types.ModuleType(parent)
            sys.modules[parent].__path__ = []
            if count:
                setattr(sys.modules[".".join(parents[:count])], parents[count], sys.modules[parent])
    module = sys.modules[name] = types.ModuleType(name)
    setattr(sys.modules[".".join(parents)], own, module)
    exec(compile(source, own + ".py", "exec"), module.__dict__)
sys.exit(module.main(GRAMMAR))
"""


def drawing_program(validator: Program) -> Program | None:
    """Return the program that draws inputs of a grammar; None if the validator is no grammar."""
    grammar = grammar_in(validator)
    if grammar is None:
        return None
    return Program("python", _LAUNCHER.format(modules=_modules(), grammar=grammar), f"{validator.name} (drawing)")


@cache
def _modules() -> tuple[tuple[str, str], ...]:
    own = [
        (f"{_ROOM}.{name}", files(_ROOM).joinpath(f"{name}.py").read_text(encoding="utf-8"))
        for name in ("choices", "grammar_draws")
    ]
    return (*((f"checktestdata.{name}", source) for name, source in checktestdata_modules()), *own)
