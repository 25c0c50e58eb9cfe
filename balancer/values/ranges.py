"""Ranges in names: "http://10.0.0.{1..4}:{8080..8083}/" is sixteen of them.

Decides what a range is and how several in one name multiply. It must not know what the name is for.
"""

import re
from itertools import product

__all__ = ["expand_range"]

_RANGE = re.compile(r"\{([^{}]*)\}")
_BOUNDS = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 10_000


def expand_range(name: str) -> list[str]:
    """Return the names that `name` stands for, the last range counting fastest.

    "{08..10}" keeps the width of its first bound: 08, 09, 10.

    Raises:
        ValueError: a range is malformed, runs backwards, or the name stands for more than 10 000.
    """
    parts = _RANGE.split(name)  # text, what is in the braces, text, and so on
    fixed, ranges = parts[::2], parts[1::2]
    if "{" in "".join(fixed) or "}" in "".join(fixed):
        raise ValueError(f"{name!r} has a brace without its partner; a range is written {{1..4}}")
    choices = [_numbers(text, name) for text in ranges]
    size = 1
    for numbers in choices:
        size *= len(numbers)
    if size > _MOST:
        raise ValueError(f"{name!r} stands for {size} names; at most {_MOST} are allowed")
    return [
        "".join(part for pair in zip(fixed, (*chosen, ""), strict=True) for part in pair)
        for chosen in product(*choices)
    ]


def _numbers(text: str, name: str) -> list[str]:
    match = _BOUNDS.fullmatch(text)
    if match is None:
        raise ValueError(f"{name!r} has the range {{{text}}}; a range is two whole numbers, such as {{1..4}}")
    low, high = int(match[1]), int(match[2])
    if low > high:
        raise ValueError(f"{name!r} has the range {{{text}}}, which runs backwards; write {{{high}..{low}}}")
    if high - low >= _MOST:
        raise ValueError(f"{name!r} has the range {{{text}}} of {high - low + 1} numbers; at most {_MOST} are allowed")
    width = len(match[1]) if match[1].startswith("0") else 0
    return [str(number).zfill(width) for number in range(low, high + 1)]
