"""Largest valid values: how far sizes and values go, from what validators refuse. Pure.

Decides two things. An interval in a refusal, such as "100001 out of range [3, 100001)", becomes the range of the fields
that it can be about. And a size that was refused twice is not proposed again: the next one is smaller, and later ones
come back between the largest accepted size and the least refused one, until they are within a factor of two.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt

from balancer.pipeline.generators.draw.styles import stream_of, style_of
from balancer.pipeline.generators.learn.bounds import Range
from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge, ranges_apart
from balancer.pipeline.generators.learn.statement import number_in

__all__ = [
    "SHORTFALL",
    "ToldInterval",
    "interval_in",
    "next_size",
    "shortfall",
    "sizes_in",
    "within_refusals",
]

SHORTFALL = "no valid input has half"  # begins the line
_NUMBER = r"-?\d+(?:\s*\*\s*10\s*(?:\^|\*\*)\s*\d+|\s*(?:\^|\*\*)\s*\d+|[eE]\+?\d+)?"
_INTERVAL = re.compile(rf"([\[(])\s*({_NUMBER})\s*(?:,|;|\.\.\.?)\s*({_NUMBER})\s*([\])])")
_CHAIN = re.compile(rf"({_NUMBER})\s*(<=?|≤)\s*[A-Za-z_][\w\[\].]*\s*(<=?|≤)\s*({_NUMBER})")
_BETWEEN = re.compile(rf"\b(?:between|from)\s+({_NUMBER})\s+(?:and|to)\s+({_NUMBER})")
_VALUE = re.compile(r"(?<![\w.])-?\d{1,30}(?![\w.]*\w)")
_SIZE = re.compile(r" ((?:[a-z]|field \d+))=(-?\d+)(?=[ ,;]|$)")
_REFUSED = 2  # times that a size may be refused
_ALIKE, _ALIKE_SMALL, _SMALL = 2, 3, 50  # refusals with one interval, before it counts for other values than the bound
_STEP = 10  # the most by which a size is divided at once


@dataclass(frozen=True, slots=True)
class ToldInterval:
    """An interval that a refusal names, closed, and the numbers in the refusal that are outside."""

    low: int
    high: int
    outside: tuple[int, ...] = ()


def interval_in(words: str) -> ToldInterval | None:
    """Return the interval in a refusal; None if there is none, or no number outside it."""
    if found := _INTERVAL.search(words):
        low, high = _whole(found[2]) + (found[1] == "("), _whole(found[3]) - (found[4] == ")")
    elif found := _CHAIN.search(words):
        low, high = _whole(found[1]) + (found[2] == "<"), _whole(found[4]) - (found[3] == "<")
    elif found := _BETWEEN.search(words):
        low, high = _whole(found[1]), _whole(found[2])
    else:
        return None
    rest = words[: found.start()] + " " + words[found.end() :]
    outside = tuple(dict.fromkeys(value for value in map(int, _VALUE.findall(rest)) if not low <= value <= high))
    return ToldInterval(low, high, outside) if low <= high and outside else None


def _whole(text: str) -> int:
    """Return the value of "100", "10^5", "2*10**5" or "1e5"."""
    return number_in(text.replace("*10**", "*10^").replace("**", "^")) or 0


def sizes_in(detail: str) -> dict[str, int]:
    """Return the sizes in an input's description, by name."""
    return {name: int(value) for name, value in _SIZE.findall(detail)}


def next_size(high: int, refused: Iterable[int], accepted: int) -> int:
    """Return the size to try next, at most `high`.

    Args:
        high: the greatest size that the validator or the statement seems to allow.
        refused: sizes that were refused too often to be tried again.
        accepted: the greatest size that is known to be valid.
    """
    least = min((size for size in refused if size > accepted), default=None)
    if least is None or least > high:
        return max(high, accepted)
    if 2 * accepted >= least - 1:
        return accepted
    if least == high:
        return high - 1  # the bound may be open
    return max(isqrt(max(accepted, 1) * least), least // _STEP, accepted)


def within_refusals(found: Knowledge, valid: Iterable[str], refused: Sequence[tuple[str, str]]) -> Knowledge:
    """Return the knowledge with ranges in which refused sizes and values are left out.

    Args:
        found: the knowledge so far.
        valid: descriptions of valid inputs.
        refused: descriptions of refused inputs, and why.
    """
    if not refused:
        return found
    found = replace(found, ranges=_told(found, [each for _, why in refused if (each := interval_in(why)) is not None]))
    return replace(found, ranges=_stepped(found, valid, [detail for detail, _ in refused]))


def shortfall(found: Knowledge, refusals: Iterable[str], inputs: Iterable[bytes]) -> str:
    """Return a line if no input has half of any largest size.

    "": one has, or no largest size is known, or there are no valid inputs, e.g. because nothing could be judged.

    Args:
        found: what is known of the problem's inputs.
        refusals: why inputs were refused; an interval in them may name the largest size.
        inputs: valid ones, of which the largest matter; the problem's own ones count anyway.
    """
    ranges = _told(found, [each for why in refusals if (each := interval_in(why)) is not None])
    most = {number: max(ranges[number].highs) for number in found.sizes - found.blocks if ranges[number].sure}
    best = dict.fromkeys(most, 0)
    read = [fields for data in inputs if (fields := found.read(data)) is not None]
    for fields in (*found.instances, *read):
        for (number, _), tokens in fields.items():
            if number in best and tokens:
                best[number] = max(best[number], ranges_apart(tokens)[1])
    if not read or not most or any(2 * best[number] >= high for number, high in most.items()):
        return ""
    sizes = ", ".join(f"{found.names[number]} is at most {best[number]} of {high}" for number, high in most.items())
    return f"{SHORTFALL} of its largest size: {sizes}"


# -- intervals -----------------------------------------------------------------------------------------


def _told(found: Knowledge, intervals: Sequence[ToldInterval]) -> dict[int, Range]:
    """Return the ranges within the intervals. An interval is about fields whose known values are all inside."""
    ranges = dict(found.ranges)
    often = Counter((each.low, each.high) for each in intervals)
    lows: defaultdict[int, set[int]] = defaultdict(set)  # greatest values with a least one: several depend on the input
    for low, high in often:
        lows[low].add(high)
    seen = {number: _seen(found, number) for number in ranges}
    for each in sorted(set(intervals), key=lambda one: (one.low, one.high)):
        times = often[each.low, each.high]
        alike = len(lows[each.low]) == 1 and times >= (_ALIKE_SMALL if each.high < _SMALL else _ALIKE)
        for number, known in seen.items():
            fact = found.facts.fields[number]
            if fact.kind is TokenKind.WORD or known is None or not each.low <= known[0] <= known[1] <= each.high:
                continue
            ranges[number] = _inside(ranges[number], each, alike=alike and fact.bound is None)
    return ranges


def _seen(found: Knowledge, number: int) -> tuple[int, int] | None:
    tokens = [
        token for instance in found.instances for slot, each in instance.items() if slot[0] == number for token in each
    ]
    return ranges_apart(tokens) if tokens else None


def _inside(known: Range, told: ToldInterval, *, alike: bool) -> Range:
    """Return a range within an interval if a value outside is its bound, or if several refusals name it."""
    high, low = max(known.highs), known.low
    for value in told.outside:
        # 7 out of [1, 5] may be about another field of the input; 100001 out of [1, 100000] is about the bound.
        if value > told.high and ((value in known.highs and 2 * told.high >= value) or (alike and high >= value)):
            known = replace(known, highs=(told.high,))
        elif value < told.low and value == low:
            known = replace(known, low=told.low, lowest=True)
    return known


# -- sizes ---------------------------------------------------------------------------------------------


def _stepped(found: Knowledge, valid: Iterable[str], refused: Sequence[str]) -> dict[int, Range]:
    """Return the ranges without sizes that were refused too often in large inputs."""
    large = [sizes_in(detail) for detail in refused if stream_of(style_of(detail)) == "large"]
    shapes = Counter(tuple(sorted(sizes.items())) for sizes in large)
    often = [dict(shape) for shape, times in shapes.items() if times >= _REFUSED]
    accepted = _greatest(map(sizes_in, valid)) if often else {}
    ranges = dict(found.ranges)
    for number in found.sizes if often else ():
        name = found.names[number]
        known = _seen(found, number)
        most = max(accepted.get(name, 0), known[1] if known else 0)
        gone = [sizes[name] for sizes in often if name in sizes]
        highs = tuple(dict.fromkeys(next_size(high, gone, most) for high in ranges[number].highs))
        ranges[number] = replace(ranges[number], highs=highs) if gone else ranges[number]
    return ranges


def _greatest(sizes: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in sizes:
        for name, value in each.items():
            found[name] = max(found.get(name, value), value)
    return found
