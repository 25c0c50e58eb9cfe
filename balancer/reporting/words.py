"""Formatting of numbers, durations, sizes and names in reports.

Units and rounding are decided here, and how much of a name can be shown at all: names come out of files that anyone
may have written. Pure; escaping for HTML, terminals or plots is done where they are made.
"""

import math

__all__ = [
    "NOTHING",
    "count",
    "number",
    "part_of",
    "percent",
    "ratio",
    "seconds",
    "shorten",
    "size",
    "times",
    "visible",
]

NOTHING = "\u2013"  # an en dash: there is no such number
_UNSHOWABLE = "\ufffd"


def visible(text: str) -> str:
    """Return `text` on one line, with every character that cannot be seen or encoded replaced.

    Those are control characters (a terminal would obey them), characters that reverse the direction of
    what follows, and halves of surrogate pairs (file names that are not UTF-8 have them).
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else _UNSHOWABLE for c in text)


def shorten(text: str, most: int, *, gap: str = "\u2026") -> str:
    """Return `text`, or its beginning and its end with `gap` between: at most `most` characters."""
    if len(text) <= most:
        return text
    room = max(0, most - len(gap))
    tail = room // 2
    return f"{text[: room - tail]}{gap[:most]}{text[len(text) - tail :]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return "1 case", "2 cases"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def part_of(part: int, whole: int) -> str:
    """Return "3 of 4", or `NOTHING` where there is nothing to be part of."""
    return f"{part} of {whole}" if whole else NOTHING


def percent(part: float, whole: float = 1.0, *, digits: int = 0) -> str:
    """Return part / whole as a percentage. Never rounded up to "100%" nor down to "0%"; `NOTHING` of nothing."""
    if not whole or not math.isfinite(part / whole):
        return NOTHING
    share = part / whole
    least = 10.0 ** -(digits + 2)  # the smallest share that can be written
    if 0 < share < least / 2:
        return f"<{least:.{digits}%}"
    if 1 - least / 2 <= share < 1:
        return f">{1 - least:.{digits}%}"
    return f"{share:.{digits}%}"


def ratio(number: float, base: float) -> str:
    """Return "1.08", or `NOTHING` where the base is nothing."""
    return f"{number / base:.2f}" if base and math.isfinite(number / base) else NOTHING


def times(number: float, base: float) -> str:
    """Return "1.08 x" (with a multiplication sign), or `NOTHING` where the base is nothing."""
    worded = ratio(number, base)
    return worded if worded == NOTHING else f"{worded} \u00d7"


def number(value: float) -> str:
    """Return four significant digits, or `NOTHING` for what is not finite."""
    return f"{value:.4g}" if math.isfinite(value) else NOTHING


def seconds(value_s: float) -> str:
    """Return a duration in the unit that suits it: "0 s", "12.3 ms", "1.5 s", "2 min 05 s", "1 h 02 min"."""
    if not math.isfinite(value_s):
        return NOTHING
    if 0 < value_s < 0.0001:
        return "<0.1 ms"
    if 0 < value_s < 0.9995:
        return f"{value_s * 1000:.3g} ms"
    if value_s < 59.95:
        return f"{value_s:.3g} s"
    minutes, rest_s = divmod(round(value_s), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def size(length: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    if length < 1000:
        return f"{length} B"
    return f"{length / 1000:.1f} kB" if length < 1_000_000 else f"{length / 1_000_000:.1f} MB"
