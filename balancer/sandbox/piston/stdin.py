"""Standard input from a file, where Piston would not hand an input on as it is.

Decides which inputs can be sent as text. Piston adds a line break where the last one is missing; text is all it takes;
and of what the program has not read at once, it hands on no more than a socket holds (219 264 bytes were measured).
"""

from collections.abc import Mapping

from balancer.sandbox.http.builds import Build

__all__ = ["INPUT", "UNFED", "fed_by_file", "is_sendable", "part_of"]

INPUT = ".stdin"
UNFED = b"balancer: flags not used"  # said by a compiler that did not get ours
_SAFE_BYTES = 2**16

_PYTHON = """\
import os, sys
file = os.open(".stdin", os.O_RDONLY)
os.dup2(file, 0)
os.close(file)
os.execv(sys.executable, [sys.executable, "{file}", *sys.argv[1:]])
"""
_BASH = 'exec bash {file} "$@" <.stdin\n'
_PART = """\
#ifndef __OPTIMIZE__
#error balancer: flags not used
#endif
"""
_OPENED = """\
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void balancer_input(void) {
    int file = open(".stdin", O_RDONLY);
    if (file < 0 || dup2(file, 0) < 0) _exit(127);
    close(file);
}
"""


def is_sendable(stdin: bytes) -> bool:
    """Tell whether Piston hands `stdin` on as it is."""
    if len(stdin) > _SAFE_BYTES or not stdin.endswith(b"\n"):
        return False
    try:
        stdin.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def fed_by_file(build: Build) -> Mapping[str, str] | None:
    """Return the code that starts the program of `build` with its input from a file, by file name; None: none can.

    It comes before the program's own; for C and C++ there is none, as `part_of` does it.
    """
    starter = {"python": _PYTHON, "bash": _BASH}.get(build.language.name)
    if starter is not None:
        return {"start": starter.replace("{file}", build.language.file)}
    return {} if build.language.name in ("c", "cpp") else None


def part_of(*, fed: bool) -> bytes:
    """Return a further source of a C or C++ program: it holds the compiler to our flags, and reads the input's file."""
    return (_PART + (_OPENED if fed else "")).encode()
