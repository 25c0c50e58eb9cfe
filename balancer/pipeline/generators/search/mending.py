"""Mending: changes a refused input until a Python validator accepts it. Its comparisons tell what to change.

This module is also a program: it runs in the sandbox, together with the traced validator. That records each
comparison, and this module looks at the last ones before the refusal. One of them decided. If `p <= size`
failed with 7 and 3, a 7 of the input becomes a number up to 3; if `x in there` failed, an x becomes one that is there.
A change is kept if the validator gets as far as before. So relations that no sample shows are kept too: what exists
after earlier commands, derived counts, degrees, lines that alternate.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from balancer.pipeline.generators.search.traced_validator import Ending, Event, TracedValidator, end_late_runs

__all__ = ["anyhow", "change", "main", "mend", "replaced"]

_ELEMENTS = 12  # elements of a container that are tried
_OPPOSITES = {"Lt": "GtE", "LtE": "Gt", "Gt": "LtE", "GtE": "Lt", "Eq": "NotEq", "NotEq": "Eq", "In": "NotIn"}
_OPPOSITES |= {"NotIn": "In"}
_MIRRORED = {"Lt": "Gt", "LtE": "GtE", "Gt": "Lt", "GtE": "LtE"}
_MOST_S = 8.0  # CPU seconds for all inputs of a slow validator; others stop by their work, so that a seed decides
_DIGITS = 20  # longer tokens are no numbers
_FURTHER = (0, 1, 2, 5, 20)  # how far below or above a bound a value may be
_INSIDE = 0.7  # share of values anywhere between two bounds; the others are near one
_TOKEN = re.compile(r"\S+")
_GUIDED = 0.75  # share of the changes that a comparison tells
_PATIENCE = 60  # changes in a row that do not get the validator further
_KNOWN = 0.8  # share of valid candidates from which nothing needs mending
_BACK = 0.03  # share of the changes that are kept though the validator gets less far

# -- one change ------------------------------------------------------------------------------------------------


def change(text: str, ending: Ending, known: Sequence[str], rng: random.Random) -> str:
    """Return an input with one change, which the last comparisons suggest, or a random one where it was read last."""
    if ending.events and rng.random() < _GUIDED:
        back = min(int(rng.expovariate(0.7)), len(ending.events) - 1)
        name, left, right, said = ending.events[-1 - back]
        if back and rng.random() < 0.5:
            said = not said  # this one did not decide: other values with which it ends as it did
        pairs = list(_wanted((name, left, right, said), ending.events, known, rng))
        rng.shuffle(pairs)
        for off in (0, -1, 1):  # a validator that counts from 0 compares numbers less one
            for old, new in pairs:
                changed = replaced(text, old, new, ending.at, rng, off)
                if changed is not None and changed != text:
                    return changed
    return anyhow(text, ending.at, known, rng)


def _wanted(
    event: Event, events: Sequence[Event], known: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """Yield texts of the input with what they may become, so that the comparison ends otherwise."""
    name, left, right, said = event
    if name in ("match", "fullmatch", "search"):
        yield from ((left, each) for each in _matching(name, right, known, rng))
        return
    wanted = _OPPOSITES.get(name, "") if said else name
    if wanted in ("In", "NotIn"):
        yield from _member(left, right, wanted == "In", known, rng)
        return
    for one, other, how in ((left, right, wanted), (right, left, _MIRRORED.get(wanted, wanted))):
        old = _told(one)
        if old is None:
            continue
        if how == "Eq":
            new = _told(other)
            yield from [] if new is None else [(old, new)]
        elif how == "NotEq" or not (_is_int(one) and _is_int(other)):
            yield old, _another(old, known, rng)
        else:
            yield old, str(_within(one, other, how, events, rng))


def _matching(name: str, pattern: Any, known: Sequence[str], rng: random.Random) -> Iterator[str]:
    parts = [part for text in known for line in text.split("\n") for part in (line, *line.split())]
    for part in rng.sample(parts, min(len(parts), 40)):
        if part and getattr(pattern, name)(part):
            yield part


def _member(
    item: Any, container: Any, wanted: bool, known: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, str]]:
    old = _told(item)
    if old is None:
        return
    if not wanted:
        yield old, _another(old, known, rng)
        return
    try:
        elements = sorted({told for each in container if (told := _told(each)) is not None})
    except TypeError:
        return
    yield from ((old, each) for each in rng.sample(elements, min(len(elements), _ELEMENTS)))


def _within(value: int, bound: int, how: str, events: Sequence[Event], rng: random.Random) -> int:
    """Return a number that a comparison with `bound` lets pass, within what it was compared with before."""
    low: int | None = None
    high: int | None = None
    if how in ("Lt", "LtE"):
        high = bound - (how == "Lt")
    else:
        low = bound + (how == "Gt")
    for name, left, right, said in events:
        kept = name if said else _OPPOSITES.get(name, "")
        if not (_is_int(left) and _is_int(right)):
            continue
        one, other = (left, right) if left == value else (right, left)
        kept = kept if left == value else _MIRRORED.get(kept, kept)
        if one != value:
            continue
        if kept in ("Lt", "LtE") and high is None:
            high = other - (kept == "Lt")
        if kept in ("Gt", "GtE") and low is None:
            low = other + (kept == "Gt")
    if low is not None and high is not None and low <= high and rng.random() < _INSIDE:
        return rng.randint(low, high)
    ends = [] if low is None else [low + rng.choice(_FURTHER)]
    ends += [] if high is None else [high - rng.choice(_FURTHER)]
    return rng.choice(ends)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _told(value: object) -> str | None:
    """Return how a value would stand in an input; None if it would not."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return value.strip("\n") or None
    if _is_int(value):
        return str(value)
    if isinstance(value, (list, tuple)) and 1 < len(value) <= 1000:
        parts = [_told(each) for each in value]
        return None if None in parts else " ".join(part or "" for part in parts)
    return None


def _another(old: str, known: Sequence[str], rng: random.Random) -> str:
    """Return another token of the same kind."""
    number = _is_number(old)
    if number and rng.random() < 0.7:
        return str(int(old) + rng.choice((-1, 1, 1, 2, 3, 7, -2)))
    tokens = [token for text in known for token in text.split() if token != old]
    alike = [token for token in tokens if _is_number(token) == number]
    return rng.choice(alike or tokens or [old])


def replaced(text: str, old: str, new: str, at: int, rng: random.Random, off: int = 0) -> str | None:
    """Replace one place of `old`, most likely the last one that was read; None if there is none.

    `off` is added to both, which are numbers then.
    """
    number = _is_number(old)
    if off:
        if not (number and _is_number(new)):
            return None
        old, new = str(int(old) + off), str(int(new) + off)
    found = _places(text, re.compile(rf"(?<!\S){re.escape(old)}(?!\S)"), at)
    if not found and not number:
        found = _places(text, re.compile(re.escape(old)), at)
    if not found:
        return None
    start, end = found[min(int(rng.expovariate(0.5 if at < len(text) else 0.2)), len(found) - 1)]
    return text[:start] + new + text[end:]


def _is_number(token: str) -> bool:
    return token.removeprefix("-").isdecimal() and len(token) < _DIGITS


def _places(text: str, pattern: re.Pattern[str], at: int) -> list[tuple[int, int]]:
    """Return where it stands, those that were read last first."""
    found = [each.span() for each in pattern.finditer(text)]
    return [each for each in reversed(found) if each[0] < at] or found


def anyhow(text: str, at: int, known: Sequence[str], rng: random.Random) -> str:
    """Change a token or a line, near the last place that was read if not all was read."""
    if rng.random() < 0.6:
        spans = [each.span() for each in _TOKEN.finditer(text)]
        near = [each for each in spans if each[0] < at] or spans
        if not near:
            return text
        start, end = near[-1 - min(int(rng.expovariate(0.25 if at < len(text) else 0.05)), len(near) - 1)]
        return text[:start] + _another(text[start:end], known, rng) + text[end:]
    ended = text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    row = text.count("\n", 0, max(at - 1, 0)) if at < len(text) else rng.randrange(len(lines))
    changed = "\n".join(_with_line(lines, min(row, len(lines) - 1), known, rng))
    return changed + "\n" if ended else changed


def _with_line(lines: list[str], row: int, known: Sequence[str], rng: random.Random) -> list[str]:
    """Change, remove or add a line. A line less may be counted in the first two lines."""
    found = [line for text in known for line in text.split("\n") if line]
    how = rng.randrange(5)
    if how == 0 and found:
        return [*lines[:row], rng.choice(found), *lines[row + 1 :]]
    if how == 1 and found:
        return [*lines[:row], rng.choice(found), *lines[row:]]
    if how == 2 and row:
        other = rng.randrange(row)
        return [*lines[:other], lines[row], *lines[other + 1 : row], lines[other], *lines[row + 1 :]]
    if len(lines) < 2:
        return lines
    left = [*lines[:row], *lines[row + 1 :]]
    counts = [(line, each) for line in range(min(2, len(left))) for each in _TOKEN.finditer(left[line])]
    numbers = [(line, each) for line, each in counts if each.group().isdigit() and 0 < int(each.group()) < 10**6]
    if how == 3 and numbers:
        line, each = rng.choice(numbers)
        left[line] = left[line][: each.start()] + str(int(each.group()) - 1) + left[line][each.end() :]
    return left


# -- an input --------------------------------------------------------------------------------------------------


def mend(
    validator: TracedValidator, text: str, accepts: int, known: Sequence[str], rng: random.Random
) -> tuple[str, int] | None:
    """Return an accepted input, and how many changes made it; None if none is found soon."""
    now, changes = validator.run(_bytes(text)), 0
    furthest, since = now.made, 0
    while now.code != accepts:
        if since > _PATIENCE:
            return None
        other = change(text, now, known, rng)
        then = validator.run(_bytes(other))
        since = 0 if then.made > furthest else since + 1
        furthest = max(furthest, then.made)
        if then.code == accepts or then.made >= now.made or rng.random() < _BACK:
            changes += other != text
            text, now = other, then
    return text, changes


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _mended(asked: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the mended ones of the candidates, and changes of known inputs that were mended. Each is new.

    Nothing if most candidates are right as they are: then no relation is missing.
    """
    until_s = time.process_time() + _MOST_S
    known: list[str] = asked["known"]
    rng = random.Random(asked["seed"])
    validator = TracedValidator(asked["source"], asked["args"])
    codes = {validator.run(_bytes(text)).code for text in known}
    if len(codes) != 1 or None in codes or 1 in codes:
        return  # it does not work here
    accepts = codes.pop()
    assert accepts is not None
    seen = {*known}
    right = sum(validator.run(_bytes(text)).code == accepts for text in asked["candidates"])
    if right >= _KNOWN * len(asked["candidates"]):
        return
    for text in _candidates(asked, known, rng):
        if validator.work > asked["work"] or time.process_time() > until_s:
            return
        found = mend(validator, text, accepts, known, rng)
        if found is not None and found[1] and found[0] not in seen:
            seen.add(found[0])
            yield found


def _candidates(asked: dict[str, Any], known: Sequence[str], rng: random.Random) -> Iterable[str]:
    """Yield the candidates, and as many known inputs with a few random changes."""
    for text in asked["candidates"]:
        yield text
        changed = rng.choice(known)
        for _ in range(rng.choice((1, 2, 4, 8, 16))):
            changed = anyhow(changed, len(changed), known, rng)
        yield changed


def main() -> None:
    """Read what is asked, as JSON, and write the mended inputs, as lines of JSON."""
    sys.setrecursionlimit(10_000)
    end_late_runs()
    asked = json.loads(sys.stdin.buffer.read())
    for text, changes in islice(_mended(asked), asked["wanted"]):
        print(json.dumps([text, changes]), flush=True)


if __name__ == "__main__":
    main()
