"""Input reduction: smaller inputs than a given one, to be tried one by one.

Decides which are tried, and in which order: large parts first (delta debugging, Zeller and Hildebrandt 2002), then less
of them; numbers last. Pure: whether a smaller input still does what the larger one did is for the caller to find out.
"""

import re
from collections.abc import Iterator

__all__ = ["smaller"]

_COUNTS = 12  # numbers at the beginning that are looked at as counts
_NUMBERS = 24
_NUMBER = re.compile(rb"(?<![\w.])-?\d{1,18}(?![\w.])")


def smaller(data: bytes) -> Iterator[bytes]:
    """Yield inputs that are smaller than `data`, the smallest steps last; each at most once."""
    seen = {data}
    for found in _all(data):
        if found not in seen and found.strip() and _size(found) < _size(data):
            seen.add(found)
            yield found


def _size(data: bytes) -> tuple[int, int, bytes]:
    """Return what is compared: length, then the digits' sum, so that 7 -> 1 is progress as well."""
    return len(data), sum(data), data


def _all(data: bytes) -> Iterator[bytes]:
    lines = data.splitlines(keepends=True)
    yield from _without_lines(lines)
    yield from _without_tokens(lines)
    yield from _lesser_numbers(data)


def _without_lines(lines: list[bytes]) -> Iterator[bytes]:
    """Take lines out: with a count that stands before them, of lines or of groups of lines, and without."""
    counts = _counts(lines)
    length = len(lines)
    while length > 1:
        length = length // 2
        for start in sorted({*range(0, len(lines), length), *range(1, len(lines), length)}):  # 1: behind a count
            end = min(start + length, len(lines))
            rest = lines[:start] + lines[end:]
            for row, place, value in counts:
                if row >= start:
                    continue
                per = (len(lines) - row - 1) // value if value else 0
                for group in dict.fromkeys((1, per)):
                    if group and (end - start) % group == 0 and (end - start) // group <= value:
                        yield b"".join(_with(rest, row, place, value - (end - start) // group))
            yield b"".join(rest)


def _without_tokens(lines: list[bytes]) -> Iterator[bytes]:
    """Take words out of a line: with a count before it that is theirs, and without."""
    counts = _counts(lines)
    for row in sorted(range(len(lines)), key=lambda i: -len(lines[i])):
        words = lines[row].split()
        length = len(words)
        end_of_line = lines[row][len(lines[row].rstrip()) :]
        while length > 1:
            length = length // 2
            for start in range(0, len(words), length):
                taken = min(length, len(words) - start)
                rest = b" ".join(words[:start] + words[start + taken :]) + end_of_line
                changed = [*lines[:row], rest, *lines[row + 1 :]]
                own = [each for each in counts if each[0] < row and each[2] == len(words)]
                for before, place, value in own[-1:]:
                    # Other lines of as many words go with it, where one count is for all of them.
                    alike = [i for i in range(before + 1, len(lines)) if len(lines[i].split()) == len(words)]
                    yield b"".join(_with(changed, before, place, value - taken))
                    if len(alike) > 1:
                        every = list(lines)
                        for i in alike:
                            each = lines[i].split()
                            every[i] = (
                                b" ".join(each[:start] + each[start + taken :]) + lines[i][len(lines[i].rstrip()) :]
                            )
                        yield b"".join(_with(every, before, place, value - taken))
                yield b"".join(changed)
        yield from _shorter_word(lines, row, words, end_of_line, counts)


def _shorter_word(
    lines: list[bytes], row: int, words: list[bytes], end: bytes, counts: list[tuple[int, int, int]]
) -> Iterator[bytes]:
    """Take letters out of the one word of a line: with a count before it that is its length, and without."""
    if len(words) != 1 or len(words[0]) < 2 or _NUMBER.fullmatch(words[0]):
        return
    word, length = words[0], len(words[0])
    while length > 1:
        length = length // 2
        for start in range(0, len(word), length):
            rest = word[:start] + word[start + length :]
            changed = [*lines[:row], rest + end, *lines[row + 1 :]]
            for before, place, value in counts:
                if before < row and value == len(word):
                    yield b"".join(_with(changed, before, place, len(rest)))
            yield b"".join(changed)


def _lesser_numbers(data: bytes) -> Iterator[bytes]:
    found = sorted(_NUMBER.finditer(data), key=lambda each: -len(each.group()))[:_NUMBERS]
    for match in found:
        value = int(match.group())
        for less in dict.fromkeys(
            (0, 1, value // 2 if value > 0 else -(-value // 2), value - 1 if value > 0 else -value)
        ):
            if less != value:
                yield data[: match.start()] + b"%d" % less + data[match.end() :]


def _counts(lines: list[bytes]) -> list[tuple[int, int, int]]:
    """Return the numbers that may be counts, the first few of the input: (line, place in it, value)."""
    found = [
        (row, place, int(word))
        for row, line in enumerate(lines[:_COUNTS])
        for place, word in enumerate(line.split()[:_COUNTS])
        if word.isdigit() and len(word) < 8
    ]
    return found[:_COUNTS]


def _with(lines: list[bytes], row: int, place: int, value: int) -> list[bytes]:
    """Return `lines` with another number at a place of a line."""
    words = re.split(rb"(\s+)", lines[row])
    at = [i for i, word in enumerate(words) if word.strip()][place]
    words[at] = b"%d" % value
    return [*lines[:row], b"".join(words), *lines[row + 1 :]]
