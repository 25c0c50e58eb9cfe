"""Range questions: asks the validators how far the values of each field go.

Decides which values are tried: usual bounds, one field at a time, in a known input. An accepted value widens the
field's range. A refused value never narrows it, because there may be another reason.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from balancer.pipeline.generators.learn.bounds import Range
from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance
from balancer.pipeline.generators.write.build import build_given

__all__ = ["widen_ranges"]

_POWERS = {base * 10**power for power in range(1, 18) for base in (1, 2, 5)}
_HIGHS = sorted(_POWERS | {10**18, 2**31 - 1})
_LOWS = (0, -1, -(10**3), -(10**6), -(10**9), -(10**18))
_AT_ONCE = 100  # questions between two looks at the time
_SMALL = 400  # bytes of the input that is used

Valid = Callable[[Sequence[bytes]], list[bool | None]]


def widen_ranges(found: Knowledge, valid: Valid, go_on: Callable[[], bool] = lambda: True) -> Knowledge:
    """Return the knowledge with the ranges widened to accepted values.

    Args:
        found: the knowledge so far.
        valid: returns which inputs are valid.
        go_on: returns whether there is time for more questions.
    """
    asked = [each for instance in found.instances[:2] for each in _questions(found, instance)]
    ranges = dict(found.ranges)
    for start in range(0, len(asked), _AT_ONCE):
        if not go_on():
            break
        part = asked[start : start + _AT_ONCE]
        for (number, value, _), accepted in zip(part, valid([data for _, _, data in part]), strict=True):
            if accepted:
                ranges[number] = _with(ranges[number], value)
    return replace(found, ranges=ranges)


def _questions(found: Knowledge, instance: Instance) -> Iterator[tuple[int, int, bytes]]:
    """Yield (field, value, input) with one value changed."""
    for slot, tokens in instance.items():
        number = slot[0]
        fact = found.facts.fields[number]
        if number in found.sizes or fact.kind is not TokenKind.INT or any(slot[1]) or not tokens:
            continue
        known = found.ranges[number]
        highs = [value for value in _HIGHS if value > max(known.highs[0], fact.high)]
        for value in (*highs, *(low for low in _LOWS if low < known.low)):
            for at in {0, len(tokens) - 1}:
                given = {**instance, slot: [*tokens[:at], str(value), *tokens[at + 1 :]]}
                data = build_given(found, given)
                if data is not None and len(data) <= _SMALL + len(tokens) * 20:
                    yield number, value, data


def _with(known: Range, value: int) -> Range:
    if value < known.low:
        return replace(known, low=value)
    if value <= known.highs[0]:
        return known
    # The value exceeds its bounding field, so that is no bound. Larger guesses remain guesses.
    others = () if known.sure else tuple(high for high in known.highs if high > value)
    return replace(known, highs=(value, *others), bound=None)
