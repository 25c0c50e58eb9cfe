"""Glob patterns of submissions.yaml: which submissions, or folders of them, one is meant for.

`*`, `?` and `[abc]` match within a name, `{a,b}` is either; a pattern matches a submission if it matches its whole
path, or that of a folder it lies in. Pure, and bounded: braces may multiply, and the file is somebody else's.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice

__all__ = ["matches"]

_MOST_FORMS = 1000  # of one pattern, once its braces are spelt out
_MOST_BRACES = 40


def matches(pattern: str, path: str) -> bool:
    """Return whether `pattern` is meant for the submission at `path`, relative to submissions/."""
    parts = path.split("/")
    return any(_match(form.strip("/").split("/"), parts) for form in _forms(pattern))


@cache
def _forms(pattern: str) -> tuple[str, ...]:
    return tuple(islice(_spelt_out(pattern), _MOST_FORMS)) if pattern.count("{") <= _MOST_BRACES else (pattern,)


def _spelt_out(pattern: str) -> Iterator[str]:
    """Yield the pattern with each choice of its braces; nested ones from the inside out."""
    inner = re.search(r"\{([^{}]*)\}", pattern)
    if inner is None:
        yield pattern
        return
    for choice in inner[1].split(","):
        yield from _spelt_out(pattern[: inner.start()] + choice + pattern[inner.end() :])


def _match(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) <= len(parts) and all(map(_name_matches, pattern, parts))


def _name_matches(pattern: str, name: str) -> bool:
    """Match one name, in time linear in both for each `*`: a pattern of a package must not take for ever."""
    position, mark, star = 0, 0, -1
    atoms = _atoms(pattern)
    here = 0
    while position < len(name):
        if here < len(atoms) and atoms[here] != "*" and (atoms[here] == "?" or name[position] in atoms[here]):
            position, here = position + 1, here + 1
        elif here < len(atoms) and atoms[here] == "*":
            star, mark, here = here, position, here + 1
        elif star >= 0:
            mark += 1
            position, here = mark, star + 1
        else:
            return False
    return all(atom == "*" for atom in atoms[here:])


def _atoms(pattern: str) -> list[str]:
    """Split a pattern into "*", "?", and sets of characters that are allowed at a place."""
    return [atom[1:-1] if atom.startswith("[") and len(atom) > 2 else atom for atom in _ATOM.findall(pattern)]


_ATOM = re.compile(r"\[[^\]]+\]|.", re.DOTALL)
