"""Language detection: by the extension of a file (see `balancer.language`), and a shebang for Python 2.

It must not know which languages an endpoint can run: that is found out later, and languages that none runs are named.
"""

import re
from functools import cache
from pathlib import PurePosixPath

from balancer.sandbox.languages.known import by_extension

__all__ = ["HEADERS", "extension_of", "is_main", "language_of"]

HEADERS = frozenset({".h", ".hh", ".hpp", ".hxx", ".h++"})

# Those that no entry of the table of languages stands for: they have a name, so that it can be said what is missing.
_OTHERS = {
    **dict.fromkeys((".adb", ".ads"), "ada"),
    **dict.fromkeys((".f90", ".f95", ".f"), "fortran"),
    **dict.fromkeys((".lisp", ".cl"), "lisp"),
    **dict.fromkeys((".pas", ".pp"), "pascal"),
    **dict.fromkeys((".pl", ".plg"), "prolog"),
    ".awk": "awk",
    ".bash": "bash",
    ".d": "d",
    ".ex": "elixir",
    ".jl": "julia",
    ".m": "objective-c",
    ".nim": "nim",
    ".py2": "python2",
    ".r": "r",
    ".scala": "scala",
    ".swift": "swift",
    ".ts": "typescript",
    ".vb": "visualbasic",
    ".zig": "zig",
}
_PYTHON_2 = re.compile(r"^#!.*python2")
_MAIN = {
    **dict.fromkeys(("c", "cpp", "d", "haskell", "kotlin", "go", "rust", "swift"), re.compile(r"\bmain\b\s*[(={]?")),
    **dict.fromkeys(("java", "csharp", "scala"), re.compile(r"\b[Mm]ain\s*\(")),
}


@cache
def _languages() -> dict[str, str]:
    return {**_OTHERS, **by_extension()}


def extension_of(path: str) -> str:
    """Return the extension of a file, in lower case and with its dot."""
    return PurePosixPath(path).suffix.lower()


def language_of(path: str, text: str = "") -> str | None:
    """Return the language of a source, by its name, and its first line if that says Python 2; None: it is none."""
    language = _languages().get(extension_of(path))
    return "python2" if language == "python" and _PYTHON_2.match(text) else language


def is_main(language: str, path: str, text: str) -> bool:
    """Return whether a source of several is probably the one that a program begins in."""
    if PurePosixPath(path).stem.lower() in ("main", "__main__"):
        return True
    return language in _MAIN and _MAIN[language].search(text) is not None
