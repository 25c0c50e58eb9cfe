"""Programs of a row: its checker, validator and generator, as programs that answer like those of a package.

Decides how they are called, and what their ends mean. Programs in C++ with testlib.h read other files than a package's,
and have other exit codes; a header before their source translates both. It needs glibc, as Linux has. The header itself
is the user's: `[pipeline.rows] testlib` names it. Checkers of Open R1's Codeforces, in Python, print a score.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

from balancer.problem import Recipe
from balancer.program import Program
from balancer.rows.columns import RowProblem

__all__ = ["Testlib", "checker_in", "needs_header", "recipes_in", "validator_in"]

_MOST_COMMANDS = 200
_INCLUDES = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]testlib\.h[>"]', re.MULTILINE)

Testlib = bytes | None
"""The content of testlib.h; None if the user has named none."""

_HEADER = "balancer_row.h"
_FRONT = """\
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void balancer_row_ends(int status, void *) {
    const int wrong[] = {WRONG};
    fflush(NULL);
    if (status == 0) _exit(42);
    for (int code : wrong) if (status == code) _exit(43);
}
__attribute__((constructor(102))) static void balancer_row_begins(int count, char **words, char **) {
    on_exit(balancer_row_ends, NULL);
    if (!CHECKER || count < 4) return;
    static char part[1 << 16], output[] = "output.txt", answer[] = "answer.txt";
    int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (ssize_t got; (got = read(0, part, sizeof part)) > 0;)
        if (write(file, part, got) != got) _exit(1);
    close(file);
    words[2] = output;
    words[3] = answer;
}
"""
# Exit codes of testlib: wrong answer 1, presentation 2, failure 3, dirt 4, unexpected end 8. A validator only fails.
_CHECKER = _FRONT.replace("WRONG", "1, 2, 4, 8").replace("CHECKER", "1")
_VALIDATOR = _FRONT.replace("WRONG", "1, 2, 3, 4, 8").replace("CHECKER", "0")

_SCORED = """\
import contextlib, io, sys
_SOURCE = {source!r}
with open("output.txt", "wb") as _file:
    _file.write(sys.stdin.buffer.read())
sys.argv = ["checker.py", "input.txt", "answer.txt", "output.txt"]
_said = io.StringIO()
try:
    with contextlib.redirect_stdout(_said):
        exec(compile(_SOURCE, "checker.py", "exec"), {{"__name__": "__main__"}})
except SystemExit:
    pass
_words = _said.getvalue().split()
sys.exit(42 if float(_words[-1]) >= 1 else 43)
"""


def needs_header(program: Program) -> bool:
    """Return whether a program includes testlib.h."""
    return program.language == "cpp" and _INCLUDES.search(program.source) is not None


def checker_in(row: RowProblem, testlib: Testlib) -> Program | None:
    """Return the row's checker as an output validator; None if it has none that can be used."""
    if row.checker is not None and row.checker.language == "python":
        return replace(row.checker, source=_SCORED.format(source=row.checker.source))
    return _usable(row.checker, testlib, _CHECKER)


def validator_in(row: RowProblem, testlib: Testlib) -> Program | None:
    """Return the row's input validator; None if it has none that can be used."""
    return _usable(row.validator, testlib, _VALIDATOR)


def recipes_in(row: RowProblem, testlib: Testlib) -> Iterator[Recipe]:
    """Yield how the row's generator makes inputs: its commands, each with a seed at the end."""
    program = _usable(row.generator, testlib, "")
    for number, command in enumerate(row.commands[:_MOST_COMMANDS]):
        words = command.partition(">")[0]
        try:
            args = shlex.split(words)
        except ValueError:  # a quote that never ends
            args = words.split()
        if args and not args[0].startswith("-"):
            args = args[1:]  # the name of the program
        if "{seed}" in words or program is None:
            continue
        seed = "-seed={seed}" if args and args[-1].startswith("-") else "{seed}"
        yield Recipe(f"command {number + 1}", program, (*args, seed))


def _usable(program: Program | None, testlib: Testlib, front: str) -> Program | None:
    if program is None or (needs_header(program) and testlib is None):
        return None
    extras = {"testlib.h": testlib} if testlib is not None and needs_header(program) else {}
    source = program.source
    if front:  # in a file of its own: rules about inputs are read from the source
        extras[_HEADER] = front.encode()
        source = f'#include "{_HEADER}"\n#line 1\n{source}'
    return replace(program, source=source, extras=tuple(sorted(extras.items())))
