"""From C++: the drawing program of a validator that reads by a known library.

The libraries are testlib, Kodsport's validator.h, BAPCtools' validation.h and Michael Zündorf's validate.h. The
validator and the library's header stay as they are; only the reads are replaced. Each one draws a value and writes it.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import PurePosixPath

from balancer.program import Program

__all__ = ["drawing_program"]

_LIBRARIES = {  # what only the header of a library has
    "testlib": re.compile(rb"\bregisterValidation\s*\("),
    "kodsport": re.compile(rb"\bSpacedInts\s*\("),
    "bapctools": re.compile(rb"\bread_integer\s*\("),
    "mzuenni": re.compile(rb"\bnamespace InputValidator\b|\bvoid init_val\s*\("),
}
_OTHER_READS = re.compile(
    r"\bcin\b(?!\s*\.\s*(?:tie|exceptions))|(?<![\w])f?scanf\s*\(|\b(?:f?gets|getc(?:har)?\w*|fread)\s*\("
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_LETTER = re.compile(r"'(\\?[^'\n]|\\\\)'")
_MOST_ALPHABETS = 10
_ESCAPED = {"\\n": "\n", "\\\\": "\\", "\\'": "'", '\\"': '"'}


def drawing_program(validator: Program) -> Program | None:
    """Return a program that draws inputs of a C++ validator; None if it reads in a way that is not known."""
    source = _COMMENT.sub(" ", validator.source)
    headers = {name: data for name, data in validator.extras if PurePosixPath(name).suffix.startswith(".h")}
    found = [(name, library) for name, data in headers.items() for library in _libraries(data)]
    used = [(name, library) for name, library in found if PurePosixPath(name).name in source]
    if validator.language != "cpp" or not used or _OTHER_READS.search(source):
        return None
    name, library = used[0]
    folder = PurePosixPath(name).parent
    inner = f"balancer_{PurePosixPath(name).name}"
    wrapper = f'#pragma once\n#include "{inner}"\n{_letters(source)}{_text("draw")}{_text(f"reads_{library}")}'
    extras = {**dict(validator.extras), str(folder / inner): headers[name], name: wrapper.encode()}
    return replace(validator, name=f"{validator.name} backwards", extras=tuple(sorted(extras.items())))


def _libraries(header: bytes) -> list[str]:
    return [library for library, mark in _LIBRARIES.items() if mark.search(header)]


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(f"{name}.h.txt").read_text(encoding="utf-8")


def _letters(source: str) -> str:
    """Return definitions with the letters in a validator's text: what a free word may be made of."""
    letters = [_ESCAPED.get(each, each) for each in _LETTER.findall(source)]
    letters = [each for each in letters if len(each) == 1 and (" " <= each <= "~" or each == "\n")]
    ranges = [
        "".join(map(chr, range(ord(first), ord(last) + 1)))
        for first, last in pairwise(letters)
        if first.isalnum() and last.isalnum() and ord(last) > ord(first) + 1
    ]
    ends = {letter for each in ranges for letter in (each[0], each[-1])}
    plain = _once(each for each in letters if each not in ends and not each.isspace())
    every = _once("".join([*ranges, plain]))
    chosen = [each for each in dict.fromkeys([every, plain, *ranges]) if each][:_MOST_ALPHABETS]
    blank = _once(each for each in letters if each.isspace())
    return (
        f"#define BALANCER_ALPHABETS {''.join(f'{_quoted(each)}, ' for each in chosen)}\n"
        f"#define BALANCER_LETTERS {_quoted(every and every + blank)}\n"
    )


def _once(letters: Iterable[str]) -> str:
    return "".join(dict.fromkeys(letters))


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\{ord(each):03o}" for each in text) + '"'
