"""Constants of the submissions: whole numbers at which a program may decide otherwise. Nothing is executed."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from balancer.pipeline.generators.learn.source_tokens import lex
from balancer.problem import Submission

__all__ = ["constants_of"]

_LEAST = 3  # smaller ones are tried anyway
_SMALL = 20  # ones up to this are mostly tried anyway
_MOST_BYTES = 50_000  # of a source
_MOST = 60  # constants


@lru_cache(maxsize=16)
def constants_of(submissions: Sequence[Submission]) -> tuple[int, ...]:
    """Return the constants: of wrong submissions first, then those in the fewest sources; small ones last."""
    seen: Counter[int] = Counter()
    wrong: set[int] = set()
    for each in submissions:
        if len(each.program.source) > _MOST_BYTES:
            continue
        tokens, _ = lex(each.program.source, python=each.program.language == "python")
        found = {token.value for token in tokens if token.value is not None and token.value >= _LEAST}
        seen.update(found)
        if not each.accepted:
            wrong |= found
    return tuple(sorted(seen, key=lambda value: (value <= _SMALL, value not in wrong, seen[value], value))[:_MOST])
