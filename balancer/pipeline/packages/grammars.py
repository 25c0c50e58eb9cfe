"""Programs of checktestdata grammars (`.ctd`), which run where all programs of a package run.

A grammar is not trusted, and its regular expressions may take very long, so it is not parsed here. The program is one
Python source with the modules of the library `checktestdata` (PyPI) and the grammar. It exits with 42 or 43 like a
validator, and with 2 if the grammar is wrong. Then it prints the line of the grammar.
"""

import ast
from functools import cache
from importlib.resources import files

from balancer.program import Program

__all__ = ["checktestdata_program", "grammar_in", "grammar_loader"]

_MODULES = ("lib", "tokenizer", "parser")  # in the order of their imports
_GRAMMAR = "GRAMMAR = "
_LOADER = """\
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
"""
_CHECK = """
from checktestdata import lib, parser as parsing, tokenizer


def followed():  # the program of the grammar, its names, the error of a refused input, and the place of a line of it
    sys.argv[1:] = []
    sys.setrecursionlimit(10**6)
    tokens = None
    try:
        tokens = tokenizer.tokenize(GRAMMAR)
        parser = parsing.parse(tokens)
        code = parser.python_code()
        program = compile(code, "grammar", "exec")
    except Exception as error:
        read = tokens.get_buffered() if tokens is not None else []
        token = getattr(error, "token", read[-1] if read else None)
        line = token.line if token is not None else GRAMMAR.rstrip().count(10) + 1  # its last line
        print("the grammar is wrong: line %d: %s" % (line, error), file=sys.stderr)
        return None

    def where(error):
        lines = []
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "grammar":
                lines.append(trace.tb_lineno)
            trace = trace.tb_next
        found = parser.guess_line(code, lines[-1]) if lines else None
        return "line %d: %s: " % (found[0].line, "".join(each.text() for each in found)[:80]) if found else ""

    return program, parser.python_globals(), lib.ValidationError, where


def main():
    if FOLLOWED is None:
        return 2
    program, names, refused, where = FOLLOWED
    try:
        exec(program, names)
    except refused as error:
        print(error, file=sys.stderr)
        return 43
    except Exception as error:
        print("the grammar cannot be followed: %s%s" % (where(error), error), file=sys.stderr)
        return 2
    return 42


FOLLOWED = followed()
sys.exit(main())
"""


def checktestdata_program(name: str, grammar: bytes) -> Program:
    """Return the input validator that checks its input against `grammar`."""
    return Program("python", grammar_loader(grammar) + _CHECK, name)


def grammar_loader(grammar: bytes, more: tuple[tuple[str, str], ...] = ()) -> str:
    """Return the source that has the library, `more` modules (name, source), and the grammar as GRAMMAR."""
    return _LOADER.format(modules=(*_checktestdata_modules(), *more), grammar=grammar)


def grammar_in(program: Program) -> bytes | None:
    """Return the grammar of a `checktestdata_program`; None if it is another program."""
    line = next((each for each in program.source.split("\n") if each.startswith(_GRAMMAR)), None)
    if program.language != "python" or line is None:
        return None
    try:
        grammar = ast.literal_eval(line.removeprefix(_GRAMMAR))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None  # a validator of the package that has such a line
    if not isinstance(grammar, bytes):
        return None
    return grammar if program.source == checktestdata_program("", grammar).source else None


@cache
def _checktestdata_modules() -> tuple[tuple[str, str], ...]:
    """Return the modules of the library, name -> source, in the order of their imports."""
    package = files("checktestdata")
    return tuple(
        (f"checktestdata.{name}", package.joinpath(f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES
    )
