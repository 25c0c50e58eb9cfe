"""Take the program out of what a model wrote.

Decides which part of a completion is the program. Pure. The rules, in order:

1. What the model thought does not count: everything up to the last `</think>` (or `</thinking>`, `</reasoning>`) is
   left out, and so is what follows such a tag that was never closed.
2. The last fenced block that is tagged with the language, or with one of its other names, is the program.
3. Without one, it is the last block without a tag.
4. What a fence is indented by, as in an item of a list, its block is not.
5. A block that was never closed, because the completion was cut off, counts like any other.
6. Without any fence, the whole text is the program if a line of it looks like one.

So the last attempt counts, as a reader would take it, and a block in another language never does.
"""

import re
from typing import Final

from balancer.program import Program

__all__ = ["code_in", "program_in"]

_TAGS = "think|thinking|reasoning"
_THOUGHT = re.compile(rf"</(?:{_TAGS})>", re.IGNORECASE)
_THINKING = re.compile(rf"<(?:{_TAGS})>", re.IGNORECASE)
# A fence is a line of its own: three or more of one sign, and the language. The one that closes is as long, or longer.
_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^\n`]*)$", re.MULTILINE)

_NAMES: Final = {
    "python": ("python", "python3", "py", "py3"),
    "pypy": ("python", "python3", "py", "py3", "pypy", "pypy3"),
    "cpp": ("cpp", "c++", "cc", "cxx"),
    "c": ("c",),
    "javascript": ("javascript", "js", "node"),
    "java": ("java",),
    "kotlin": ("kotlin", "kt"),
    "rust": ("rust", "rs"),
    "go": ("go", "golang"),
}
_LIKE: Final = {
    "python": re.compile(
        r"^(?:import \w[\w.]*|from \w[\w.]* import .+|(?:async )?def \w+\(|class \w+.*:|print\(|[ \t]*return\b"
        r"|(?:for .+ in .+|while .+|if .+):|\w[\w, \[\]]* [-+*/]?= ?\S)",
        re.MULTILINE,
    ),
    "cpp": re.compile(r"^\s*(?:#include\s*[<\"]|(?:int|auto|signed)\s+main\s*\()", re.MULTILINE),
    "java": re.compile(r"\bclass\s+\w+", re.MULTILINE),
}
_LIKE_ALIAS: Final = {"pypy": "python", "c": "cpp"}


def code_in(completion: str, language: str = "python") -> str | None:
    """Return the program in `completion`; None if there is none.

    Args:
        completion: what the model wrote.
        language: which the program is written in; others do not count.
    """
    text = _said(completion)
    names = _NAMES.get(language, (language,))
    tagged, plain, fenced = None, None, False
    for tag, code in _blocks(text):
        fenced = True
        if tag in names:
            tagged = code
        elif not tag:
            plain = code
    chosen = tagged if tagged is not None else plain
    if fenced:
        return chosen if chosen is not None and chosen.strip() else None
    like = _LIKE.get(_LIKE_ALIAS.get(language, language))
    return text if like is not None and like.search(text) else None


def program_in(completion: str, language: str = "python", name: str = "") -> Program | None:
    """Return the program in `completion` as one to be run; None if there is none. See `code_in`."""
    code = code_in(completion, language)
    return None if code is None else Program(language, code, name)


def _said(completion: str) -> str:
    """Return what is left without what the model thought."""
    text = completion.replace("\r\n", "\n")
    ends = [match.end() for match in _THOUGHT.finditer(text)]
    text = text[ends[-1] :] if ends else text
    open_ = _THINKING.search(text)
    return text[: open_.start()] if open_ is not None else text


def _blocks(text: str) -> list[tuple[str, str]]:
    """Return the fenced blocks, each with its tag in lower case."""
    found: list[tuple[str, str]] = []
    fence, tag, start, indent = "", "", 0, 0
    for line in _FENCE.finditer(text):
        signs, words = line[2], line[3].strip()
        if not fence:
            fence, tag, start, indent = signs, _tag(words), line.end() + 1, len(line[1])
        elif signs[0] == fence[0] and len(signs) >= len(fence) and not words:
            found.append((tag, _dedented(text[start : line.start()], indent)))
            fence = ""
    if fence:
        found.append((tag, _dedented(text[start:], indent)))
    return found


def _dedented(code: str, indent: int) -> str:
    """Return `code` without the indent that its fence has, as in an item of a list; what has less of it keeps none."""
    if not indent:
        return code
    lines = code.split("\n")
    return "\n".join(line[min(indent, len(line) - len(line.lstrip(" \t"))) :] for line in lines)


def _tag(words: str) -> str:
    """Return the language that the words after a fence name, as in "python", "{.python}" or "python title=x.py"."""
    first = words.split()[0] if words else ""
    return first.strip("{}.").lower()
