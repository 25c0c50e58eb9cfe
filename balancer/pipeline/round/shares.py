"""Batch shares: how many inputs each generator is asked for next, by how many of those before were valid.

Pure arithmetic. It must not know generators, nor what valid means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["GeneratorRecord", "batch_size", "shares"]

_MARGIN = 1.5  # as many as are wanted, and some more, for not all are valid
_LEAST, _MOST = 8, 64  # a batch: small, so that there is something to be learnt before the next
_EXPLORED = 0.2  # the part of a batch that all have alike, however few of theirs were valid


@dataclass(frozen=True, slots=True)
class GeneratorRecord:
    """What became of a generator's inputs so far: how many were checked, and valid; and how many more it may give."""

    checked: int
    valid: int
    left: int


def batch_size(wanted: int) -> int:
    """Return how many inputs to ask for where `wanted` more valid ones are wanted."""
    return min(_MOST, max(_LEAST, math.ceil(_MARGIN * wanted)))


def shares(size: int, records: Sequence[GeneratorRecord]) -> list[int]:
    """Return how many of `size` inputs each generator is asked for; at least one of each that has some left.

    A fifth is shared alike, so that one that was unlucky is tried again; the rest by the part of each one's inputs that
    were valid (Laplace's rule of succession: one that was never asked counts as one half).
    """
    able = [record.left > 0 for record in records]
    if not any(able):
        return [0] * len(records)
    yields = [(r.valid + 1) / (r.checked + 2) if fit else 0.0 for r, fit in zip(records, able, strict=True)]
    alike = _EXPLORED / sum(able)
    parts = [fit * (alike + (1 - _EXPLORED) * rate / sum(yields)) for rate, fit in zip(yields, able, strict=True)]
    found = [
        min(record.left, max(1, math.floor(size * part))) if fit else 0
        for record, part, fit in zip(records, parts, able, strict=True)
    ]
    # What rounding has left over goes to those with the largest parts.
    for place in sorted(range(len(records)), key=lambda i: (-parts[i], i)):
        spare = size - sum(found)
        if spare <= 0:
            break
        found[place] += min(spare, records[place].left - found[place])
    return found
