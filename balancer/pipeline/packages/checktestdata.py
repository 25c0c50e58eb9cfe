"""Checktestdata grammars (`.ctd`), made into programs, so that they are run where all programs of a package are.

The grammar is somebody else's, and its regular expressions may take for ever: nothing of it is looked at here. The
program is the library `checktestdata` (PyPI), module by module, and the grammar, in one Python source that any endpoint
can run. It exits with 42 and 43, as a validator does; with 2 if the grammar itself is wrong.
"""

from functools import cache
from importlib.resources import files

from balancer.program import Program

__all__ = ["checktestdata_program"]

_MODULES = ("lib", "tokenizer", "parser")  # in the order in which they import each other

_LAUNCHER = """\
import sys
import types

MODULES = {modules!r}
GRAMMAR = {grammar!r}


def load():
    package = sys.modules["checktestdata"] = types.ModuleType("checktestdata")
    package.__path__ = []
    for name, source in MODULES:
        module = types.ModuleType("checktestdata." + name)
        sys.modules[module.__name__] = module
        setattr(package, name, module)
        exec(compile(source, name + ".py", "exec"), module.__dict__)
    return package


def main():
    checktestdata = load()
    sys.argv[1:] = []
    sys.setrecursionlimit(10**6)
    try:
        parser = checktestdata.parser.parse(checktestdata.tokenizer.tokenize(GRAMMAR))
        program = compile(parser.python_code(), "grammar", "exec")
        names = parser.python_globals()
    except Exception as error:
        print("the grammar is wrong: %s" % error, file=sys.stderr)
        return 2
    try:
        exec(program, names)
    except checktestdata.lib.ValidationError as error:
        print(error, file=sys.stderr)
        return 43
    except Exception as error:
        print("the grammar cannot be followed: %s" % error, file=sys.stderr)
        return 2
    return 42


sys.exit(main())
"""


def checktestdata_program(name: str, grammar: bytes) -> Program:
    """Return the input validator that holds its input against `grammar`."""
    return Program("python", _LAUNCHER.format(modules=_modules(), grammar=grammar), name)


@cache
def _modules() -> tuple[tuple[str, str], ...]:
    package = files("checktestdata")
    return tuple((name, package.joinpath(f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES)
