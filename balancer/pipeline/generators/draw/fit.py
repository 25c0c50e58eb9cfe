"""Fit lists of values to what they must come to: a sum, a maximum, a product, balanced brackets, numbers below places.

Pure functions on lists; each keeps as much of the shape of a list as it can. They must not know fields or rules.
"""

import random
from collections.abc import Sequence
from math import isqrt

__all__ = ["balance", "cap_sum", "fit_max", "fit_min", "fit_product", "fit_sum", "parents", "to_multiples"]

_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def fit_sum(values: Sequence[int], total: int, low: int, high: int, rng: random.Random) -> list[int] | None:
    """Return values from `low` to `high` that add up to `total`, in proportion to the given; None if there are none."""
    count = len(values)
    need = total - count * low
    if not 0 <= need <= count * (high - low):
        return None
    above = [max(value - low, 0) for value in values]
    whole = sum(above)
    if not whole:
        above, whole = [1] * count, count
    fitted = [min(part * need // whole, high - low) for part in above]
    rest = need - sum(fitted)
    order = list(range(count))
    rng.shuffle(order)
    for step in (1, high - low):
        for index in order:
            if rest <= 0:
                break
            more = min(step, rest, high - low - fitted[index])
            fitted[index] += more
            rest -= more
    return [low + part for part in fitted]


def cap_sum(values: Sequence[int], most: int, low: int) -> list[int] | None:
    """Return values of which the sum is at most `most`, none less than `low` unless it was; None if there are none."""
    total = sum(values)
    if total <= most:
        return list(values)
    base = min(low, min(values))
    need = most - len(values) * base
    if need < 0:
        return None
    whole = total - len(values) * base
    return [base + (value - base) * need // whole for value in values]


def fit_max(values: Sequence[int], most: int, rng: random.Random) -> list[int]:
    """Return values of which the greatest is `most`."""
    fitted = [min(value, most) for value in values]
    if max(fitted) < most:
        fitted[rng.randrange(len(fitted))] = most
    return fitted


def fit_min(values: Sequence[int], least: int, rng: random.Random) -> list[int]:
    """Return values of which the least is `least`."""
    return [-value for value in fit_max([-value for value in values], -least, rng)]


def fit_product(values: Sequence[int], most: int, low: int) -> list[int] | None:
    """Make values that would bring the product above `most` as small as is allowed; None if that is not enough."""
    fitted = []
    product = 1
    spare = low ** min(len(values), 64) if low > 1 else 1
    for value in values:
        spare //= max(low, 1)
        kept = value if abs(product * value) * max(spare, 1) <= most else low
        product *= kept
        if abs(product) > most:
            return None
        fitted.append(kept)
    return fitted


def to_multiples(values: Sequence[int], of: int, low: int, high: int) -> list[int]:
    """Return the multiples of `of` below the values, or the least one from `low` on."""
    least = -(-low // of) * of
    most = high // of * of
    return [max(min(value // of * of, most), least) for value in values]


def parents(values: Sequence[int], plus: int, low: int, kind: str, rng: random.Random) -> list[int]:
    """Return numbers less than their places plus `plus`: a deep tree ("path"), a flat one ("star"), or as given."""
    found = []
    width = max(isqrt(len(values)), 1)  # of the teeth of a comb
    for index, value in enumerate(values):
        most = index + plus - 1
        if kind == "path":
            found.append(max(most, low))
        elif kind == "star":
            found.append(low)
        elif kind == "deep":
            found.append(max(most - rng.randrange(3), low))
        elif kind == "comb":
            found.append(max(most if (index + 1) % width else most - width + 1, low))
        elif kind == "binary":
            found.append(max((most + low) // 2, low))
        else:
            found.append(value if low <= value <= most else low + (value - low) % max(most - low + 1, 1))
    return found


def balance(word: str, letters: str, rng: random.Random) -> str:
    """Return balanced brackets, about as long as the word: nested to the ground, flat, or anything between."""
    pairs = [(one, _PAIRS[one]) for one in letters if one in _PAIRS and _PAIRS[one] in letters]
    if not pairs:
        return word
    half = max(len(word) // 2, 1)
    opening = rng.choice((0.5, 0.5, 0.5, 0.9, 1.0, 0.0))
    text: list[str] = []
    closing: list[str] = []
    for _ in range(2 * half):
        may_open = len(text) + len(closing) < 2 * half
        if may_open and (not closing or rng.random() < opening):
            one, other = rng.choice(pairs)
            text.append(one)
            closing.append(other)
        else:
            text.append(closing.pop())
    return "".join(text)
