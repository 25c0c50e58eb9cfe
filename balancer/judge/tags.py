"""Language tags: what languages are called in what models write.

Decides which language the words after a fence name. Pure.
"""

import re
from typing import Final

__all__ = ["is_tag", "names_of", "tag_of"]

_NAMES: Final = {
    "python": ("python", "py"),
    "pypy": ("python", "py", "pypy"),
    "cpp": ("cpp", "c++", "cc", "cxx"),
    "c": ("c",),
    "javascript": ("javascript", "js", "node"),
    "java": ("java",),
    "kotlin": ("kotlin", "kt"),
    "rust": ("rust", "rs"),
    "go": ("go", "golang"),
}
# What else stands after a fence, and is no program in a language above.
_OTHERS: Final = (
    "bash", "sh", "shell", "zsh", "console", "terminal", "powershell", "cmd", "json", "yaml", "yml", "toml", "xml",
    "html", "css", "sql", "csv", "diff", "typescript", "ts", "csharp", "cs", "c#", "ruby", "rb", "php", "perl", "swift",
    "scala", "haskell", "hs", "lua", "r", "julia", "matlab", "ocaml", "pascal", "fortran", "cobol", "assembly", "asm",
    "latex", "tex", "math", "pycon", "text", "txt", "plaintext", "plain", "output", "input", "markdown", "md",
    "pseudocode", "pseudo", "mermaid", "dart", "elixir", "erlang", "clojure", "lisp", "scheme", "prolog", "d", "nim",
    "zig",
)  # fmt: skip
_KNOWN: Final = frozenset(_OTHERS).union(*_NAMES.values())

_WORD: Final = re.compile(r"\{?\.?([A-Za-z][\w+#.-]*)\}?")
_VERSION: Final = re.compile(r"(?<=[a-z])[-.]?\d[\d.]*$")  # python3, python3.11; "c++17" and "g++-13" are not asked for


def names_of(language: str) -> tuple[str, ...]:
    """Return what blocks of a program in `language` may be tagged with."""
    return _NAMES.get(language, (language,))


def tag_of(words: str) -> str:
    """Return the language that the words after a fence name, as in "Python3", "{.python}", "py x=1" or "main.py".

    It is "" where there is no word, and the word itself, in lower case, where that is no language that is known.
    """
    found = _WORD.match(words.strip())
    if found is None:
        return ""
    word = found[1].lower().rstrip(".")
    if word in _KNOWN:
        return word
    ending = word.rpartition(".")[2]  # of a file
    if ending in _KNOWN and ending != word:
        return ending
    return _VERSION.sub("", word)


def is_tag(words: str) -> bool:
    """Return whether what stands after a fence begins with a language that is known."""
    return tag_of(words) in _KNOWN
