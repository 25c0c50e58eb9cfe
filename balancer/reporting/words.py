"""Formatting of numbers, durations, sizes and names in reports.

Names come from files that anyone may have written, so unprintable characters are replaced. Pure. HTML, terminals and
plots do their own escaping.
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

NOTHING = "\u2013"  # an en dash, for a missing number
_UNSHOWABLE = "\ufffd"


def visible(text: str) -> str:
    """Return `text` on one line, with every character replaced that cannot be seen or encoded.

    These are control characters (a terminal would obey them), characters that reverse the writing direction, and halves
    of surrogate pairs (as in file names that are not UTF-8).
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else _UNSHOWABLE for c in text)


def shorten(text: str, most: int, *, gap: str = "\u2026") -> str:
    """Return `text`, or its beginning and end with `gap` between: at most `most` characters."""
    if len(text) <= most:
        return text
    room = max(0, most - len(gap))
    tail = room // 2
    return f"{text[: room - tail]}{gap[:most]}{text[len(text) - tail :]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return "1 case", "2 cases"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def part_of(part: int, whole: int) -> str:
    """Return e.g. "3 of 4", or `NOTHING` if `whole` is 0."""
    return f"{part} of {whole}" if whole else NOTHING


def percent(part: float, whole: float = 1.0, *, digits: int = 0) -> str:
    """Return part / whole as a percentage; `NOTHING` if `whole` is 0. Never rounded up to "100%" or down to "0%"."""
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
    """Return e.g. "1.08", or `NOTHING` if the base is 0."""
    return f"{number / base:.2f}" if base and math.isfinite(number / base) else NOTHING


def times(number: float, base: float) -> str:
    """Return e.g. "1.08 x" (with a multiplication sign), or `NOTHING` if the base is 0."""
    worded = ratio(number, base)
    return worded if worded == NOTHING else f"{worded} \u00d7"


def number(value: float) -> str:
    """Return four significant digits, or `NOTHING` for a number that is not finite."""
    return f"{value:.4g}" if math.isfinite(value) else NOTHING


def seconds(value_s: float) -> str:
    """Return a duration in a suitable unit: "0 s", "12.3 ms", "1.5 s", "2 min 05 s", "1 h 02 min"."""
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
    """Return a number of bytes in a suitable unit."""
    if length < 1000:
        return f"{length} B"
    return f"{length / 1000:.1f} kB" if length < 1_000_000 else f"{length / 1_000_000:.1f} MB"
