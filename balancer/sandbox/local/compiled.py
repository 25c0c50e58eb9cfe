"""The result of compiling: a binary, or the compiler's messages, and whether the program is to blame for them.

Decides which end of a compiler would be the same another time, and which says something about the machine. What a
compiler says is cleaned of paths that differ from run to run. It must not know how compilers are run, nor where
binaries lie.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from balancer.program import Limits
from balancer.sandbox.local.command import ProcessResult, StopReason

__all__ = ["COMPILER_BYTES", "PRINTED_BYTES", "Compiled", "refusal_of"]

# A compiler needs more than the program it makes: bits/stdc++.h alone takes 250 MB of address space.
COMPILER_BYTES = 2 * 2**30
PRINTED_BYTES = 4 * 2**20  # what a compiler may print: a right program may get many warnings, but not so many
_KEPT_BYTES = 2**14  # nobody reads more than the beginning, and the words of all refused programs are kept in memory
_TEMPORARY = re.compile(r"/tmp/cc\w+\.o\b")
_MEMORY = re.compile(
    r"(virtual )?memory exhausted|out of memory|Cannot allocate memory|std::bad_alloc|OutOfMemoryError|heap overflow",
    re.I,
)
_KILLED = re.compile(r"Killed signal terminated program|\bSIGKILL\b")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of compiling: a binary, or the compiler's words.

    Attributes:
        binary: the compiled program, or None.
        words: what the compiler printed (bytes, cleaned), if there is no binary.
        message: one line for people, e.g. that it took too long.
        lasting: whether it would be the same another time: not if time ran out, or if somebody killed the compiler.
        doubtful: the machine may be to blame.
        took_s: wall seconds that compiling took; 0 if there was a binary.
    """

    binary: Path | None
    words: bytes = b""
    message: str = ""
    lasting: bool = True
    doubtful: bool = False
    took_s: float = 0.0


def refusal_of(ended: ProcessResult, limits: Limits) -> Compiled:
    """Return what a compiler that made nothing has to say, and whether the program is to blame for it."""
    text = _TEMPORARY.sub("main.o", (ended.stderr or ended.stdout)[:_KEPT_BYTES].decode("utf-8", "replace"))
    words = text.encode()
    spent_s = ended.cpu_s or 0.0
    if ended.cut is StopReason.CPU or spent_s >= limits.compile_s:
        message = f"the compiler took too long: {spent_s:.1f} s of CPU time, and {limits.compile_s:g} s are allowed"
        return Compiled(None, words, message, lasting=False)
    if ended.cut is StopReason.WALL:
        message = f"the compiler was stopped after {limits.compile_wall_s:g} s, with {spent_s:.1f} s of CPU time used"
        return Compiled(None, words, message, lasting=False, doubtful=True)
    if ended.cut is StopReason.OUTPUT:
        return Compiled(None, words, f"the compiler was stopped after {PRINTED_BYTES} bytes of messages")
    if _KILLED.search(text):
        return Compiled(None, words, "the compiler was killed, as for memory", lasting=False, doubtful=True)
    if _MEMORY.search(text):
        return Compiled(None, words, f"the compiler ran out of memory, of which it had {COMPILER_BYTES // 2**20} MiB")
    return Compiled(None, words)
