"""Error excerpt: the line of standard error that says why a program, or its compiler, failed.

Decides which line that is. Pure. The words are a stranger's: they are cut, and signs that would do something to a
terminal or a log are left out. Secrets go before anything is cut, which may be within one.
"""

from collections.abc import Callable
from typing import Final

from balancer.program import Execution, Status

__all__ = ["MOST", "last_words"]

MOST = 200  # characters
_LOOKED_AT = 8192  # characters; twice as much is read, so that no secret is cut where that begins or ends
_FRAMES: Final = ("at ", "note:", "... ")  # what follows the words that count: frames of Java, advice of Rust


def last_words(execution: Execution, redact: Callable[[str], str] = str) -> str:
    """Return the line of standard error that tells why it failed, at most `MOST` characters; "" if there is none.

    Of a compiler it is the first line with the word error, else the last line; of a program the last one, as a
    traceback ends with what was raised.
    """
    said = execution.stderr
    if execution.status is Status.COMPILE_ERROR:
        lines = _lines(redact(said[: 2 * _LOOKED_AT].decode(errors="replace"))[:_LOOKED_AT])
        found = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    else:
        lines = _lines(redact(said[-2 * _LOOKED_AT :].decode(errors="replace"))[-_LOOKED_AT:])
        lines = lines[len(said) > _LOOKED_AT and len(lines) > 1 :]  # the first one may have lost its beginning
        found = next((line for line in reversed(lines) if not line.startswith(_FRAMES)), lines[-1] if lines else "")
    return found if len(found) <= MOST else found[: MOST - 3] + "..."


def _lines(words: str) -> list[str]:
    """Return the lines that are not empty, each with single spaces and nothing that does not print."""
    lines = (" ".join(line.split()) for line in words.splitlines())
    return ["".join(sign if sign.isprintable() else "?" for sign in line) for line in lines if line]
