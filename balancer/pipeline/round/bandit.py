"""Bandit: which generator is asked for how much, by the first kills that it brought for its time. Pure.

Decides by the rate of first kills per second, with one kill and some seconds added: so a generator that was not tried
is neither first nor last, and one without kills gets less the longer it takes. Kills and seconds of earlier rounds
count half as much with each round, because survivors get harder.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["GeneratorRecord", "chunk", "discounted", "pace", "shares"]

_EXPLORED = 0.2  # share of a batch that is divided equally, for all generators
_FIRST, _LEAST = 6, 2  # inputs between two looks at the clock: the first time, and at least
_HALF = 2  # the next look is after at most 1/2 of the time left
_UNIT_S = 5.0  # seconds in which a generator that was not tried is taken to bring a kill


@dataclass(frozen=True, slots=True)
class GeneratorRecord:
    """A generator's inputs so far.

    Args:
        checked, valid: how many were checked, and how many of these are valid.
        left: how many more it may give.
        kills, seconds: first kills, and the time that it and the runs on its inputs took.
    """

    checked: int
    valid: int
    left: int
    kills: float = 0.0
    seconds: float = 0.0


def pace(record: GeneratorRecord) -> float:
    """Return the first kills to be expected for a second."""
    return (record.kills + 1) / (record.seconds + _UNIT_S)


def discounted(by_round: Mapping[int, float], now: int) -> float:
    """Return the sum over the rounds up to `now`, each with half the weight of the next one."""
    return sum(value * 0.5 ** (now - number) for number, value in by_round.items() if number <= now)


def shares(size: int, records: Sequence[GeneratorRecord]) -> list[int]:
    """Return how many of `size` inputs each generator is asked for: at least one, if it has some left.

    A fifth is shared equally, so that an unlucky generator is tried again. The rest is shared by each one's rate of
    valid inputs (Laplace's rule of succession: a generator without inputs has the rate one half), times its pace.
    """
    able = [record.left > 0 for record in records]
    if not any(able):
        return [0] * len(records)
    yields = [(r.valid + 1) / (r.checked + 2) * pace(r) if fit else 0.0 for r, fit in zip(records, able, strict=True)]
    alike = _EXPLORED / sum(able)
    parts = [fit * (alike + (1 - _EXPLORED) * rate / sum(yields)) for rate, fit in zip(yields, able, strict=True)]
    found = [
        min(record.left, max(1, math.floor(size * part))) if fit else 0
        for record, part, fit in zip(records, parts, able, strict=True)
    ]
    # The ones that each has at least come from the largest shares.
    for place in sorted(range(len(records)), key=lambda i: (-found[i], i)):
        found[place] -= max(0, min(sum(found) - max(size, sum(able)), found[place] - 1))
    # The remainder from rounding goes to the largest parts.
    for place in sorted(range(len(records)), key=lambda i: (-parts[i], i)):
        spare = size - sum(found)
        if spare <= 0:
            break
        found[place] += min(spare, records[place].left - found[place])
    return found


def chunk(left_s: float, spent_s: float, inputs: int, most: int) -> int:
    """Return how many more inputs to judge before the next look at the clock.

    Args:
        left_s: seconds left; infinite without a budget.
        spent_s: seconds spent on made-up inputs.
        inputs: inputs judged in that time.
        most: inputs wanted.
    """
    if math.isinf(left_s):
        return most
    if not inputs or spent_s <= 0:
        return min(most, _FIRST)
    return min(most, max(_LEAST, int(left_s / _HALF / (spent_s / inputs))))
