"""Drawing of values: where in a range they lie, and how the values of a list relate. Pure; all chance is in `rng`.

Wrong programs rarely fail on arbitrary lists. They fail on ties, extremes, order and overflow, which the two
enumerations name.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import accumulate

__all__ = [
    "DrawLimits",
    "How",
    "Where",
    "decimal",
    "draw_decimals",
    "draw_number",
    "draw_numbers",
    "draw_words",
    "hashed",
]

_LONG = 200  # letters from which a word is long

# Bucket numbers of hash tables in common C++ libraries with about 10**5 values.
_BUCKETS = (107897, 126271, 85229, 172933, 62233, 20753)


class Where(Enum):
    """The part of its range that a value is drawn from."""

    TINY = "tiny"  # a few values at the low end, or around zero
    TOP = "top"  # a few values at the high end
    SEEN = "seen"  # as in the known inputs
    LOW = "low"  # the least value
    HIGH = "high"  # the greatest value
    FULL = "full"  # anywhere
    LOG = "log"  # any number of digits
    EDGE = "edge"  # values at which programs often fail
    OVERFLOW = "overflow"  # sums or products just below or above 31, 32 or 63 bits


class How(Enum):
    """The relation between the values of a list."""

    RANDOM = "random"
    EQUAL = "all equal"
    FEW = "few different"
    SORTED = "sorted"
    REVERSED = "reversed"
    RAMP = "consecutive"
    ALTERNATING = "alternating"
    ODD_ONE = "all but one equal"
    HASHED = "multiples of the number of buckets"
    PERIODIC = "periodic"


@dataclass(frozen=True, slots=True)
class DrawLimits:
    """The range to draw from, and the part of it that was seen."""

    low: int
    high: int
    seen_low: int
    seen_high: int


# Difficult values: around powers of two (overflow) and ten (digits, usual limits), Fermat pseudoprimes (341 to
# base 2, Carmichael numbers to every base), squares of primes, primes used as moduli, and numbers with more divisors
# than any smaller one.
_CARMICHAEL = (341, 561, 1105, 1729, 2465, 2821, 6601, 8911, 10585, 41041, 825265, 321197185)
_SQUARES = (4, 9, 25, 49, 121, 169, 961, 10201, 994009, 46337**2, 65521**2, 999983**2)
_PRIMES = (2, 3, 5, 7, 11, 13, 31, 97, 101, 997, 65537, 998244353, 10**9 + 7, 2**31 - 1)
# Their squares or cubes are near 2**31, 2**32 or 2**63.
_ROOTS = (46340, 46341, 65535, 65536, 2097151, 2097152, 3037000499, 3037000500)
_OVERFLOWS = (2**31, 2**32, 2**63)
_DIVISORS = (12, 60, 360, 5040, 55440, 720720, 735134400)
_NEAR = (-1, 0, 1)
_EDGES = sorted(
    {power + near for bits in (7, 8, 15, 16, 24, 31, 32, 53, 62, 63) for power in (2**bits,) for near in _NEAR}
    | {10**digits + near for digits in range(1, 19) for near in _NEAR}
    | {0, 1, 2, 3, *_CARMICHAEL, *_SQUARES, *_PRIMES, *_DIVISORS, *_ROOTS}
)


def draw_number(limits: DrawLimits, where: Where, rng: random.Random) -> int:
    """Draw one number within `limits`."""
    low, high = limits.low, max(limits.low, limits.high)
    if where is Where.LOG:
        return _logarithmic(low, high, rng)
    if where is Where.EDGE:
        return rng.choice(_edges(low, high))
    if where is Where.OVERFLOW:
        telling = [value for value in (*_ROOTS, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1) if low <= value <= high]
        return rng.choice(telling) if telling else high
    first, last = _part(limits, where, rng)
    return rng.randint(min(max(first, low), high), max(min(last, high), low))


def _part(limits: DrawLimits, where: Where, rng: random.Random) -> tuple[int, int]:
    if where is Where.LOW:
        return limits.low, limits.low
    if where is Where.HIGH:
        return limits.high, limits.high
    if where is Where.SEEN:
        return limits.seen_low, limits.seen_high
    if where is Where.TINY:
        width = rng.choice((1, 2, 3, 5, 9))
        return (-width, width) if limits.low < 0 < limits.high else (limits.low, limits.low + width)
    if where is Where.TOP:
        return limits.high - rng.choice((1, 2, 3, 5, 9)), limits.high
    return limits.low, limits.high


def _logarithmic(low: int, high: int, rng: random.Random) -> int:
    """Draw a number of any size: two digits as often as nine."""
    if low < 0 < high and rng.random() < 0.5:
        return -_logarithmic(0, -low, rng)
    start = max(low, 0) if high > 0 else low
    return min(start + rng.getrandbits(rng.randint(0, max(high - start, 1).bit_length())), high)


@lru_cache(maxsize=256)
def _edges(low: int, high: int) -> tuple[int, ...]:
    inside = [edge for edge in _EDGES if low <= edge <= high]
    inside += [-edge for edge in _EDGES if edge and low <= -edge <= high]
    return (*inside, *(edge for edge in (low, low + 1, high - 1, high) if low <= edge <= high))


def draw_numbers(count: int, limits: DrawLimits, where: Where, how: How, rng: random.Random) -> list[int]:
    """Draw `count` numbers within `limits`."""
    if how is How.RAMP and count > 1:
        return _ramp(count, limits, rng)
    if how is How.ALTERNATING:
        return [(limits.low, limits.high)[index % 2] for index in range(count)]
    if how is How.HASHED:
        return hashed(count, limits.low, limits.high, rng)
    if where is Where.OVERFLOW:
        return _arrange(count, how, _overflowing(count, limits, rng), rng)
    # A part of the range is chosen once for the whole list: "tiny" is the same few values everywhere.
    if where in (Where.TINY, Where.TOP, Where.SEEN, Where.FULL):
        first, last = _part(limits, where, rng)
        low = min(max(first, limits.low), max(limits.low, limits.high))
        high = max(min(last, limits.high), low)
        return _arrange(count, how, _uniform(low, high, rng), rng)
    return _arrange(count, how, lambda: draw_number(limits, where, rng), rng)


def _overflowing(count: int, limits: DrawLimits, rng: random.Random) -> Callable[[], int]:
    """Return a function that draws values with a sum or product near 2**31, 2**32 or 2**63; else the greatest."""
    # Two, three or all values with this product are as useful as values with this sum.
    shares = [power // max(count, 1) for power in _OVERFLOWS]
    factors = list(_ROOTS)
    if 3 < count < 20 and rng.random() < 0.5:
        factors = [round(power ** (1 / count)) for power in _OVERFLOWS]
    kinds = [[share for share in kind if limits.low < share < limits.high] for kind in (shares, factors)]
    fitting = rng.choice(kinds)
    if not fitting:
        return lambda: draw_number(limits, Where.HIGH, rng)
    share = rng.choice(fitting)
    return lambda: share + rng.randint(-1, 1)


def _uniform(low: int, high: int, rng: random.Random) -> Callable[[], int]:
    """Return a function that draws from `low` to `high`. Three times as fast as randint if a float is exact enough."""
    width = high - low + 1
    if width > 2**40:
        return lambda: rng.randint(low, high)
    return lambda: low + int(rng.random() * width)


def _ramp(count: int, limits: DrawLimits, rng: random.Random) -> list[int]:
    width = max(limits.high - limits.low + 1, 1)
    start = max(min(limits.seen_low, limits.high), limits.low) - limits.low if rng.random() < 0.5 else 0
    return [limits.low + (start + index) % width for index in range(count)]


def _arrange(count: int, how: How, draw: Callable[[], int], rng: random.Random) -> list[int]:
    if how is How.EQUAL:
        return [draw()] * count
    if how in (How.FEW, How.ODD_ONE):
        few = [draw() for _ in range(2 if how is How.ODD_ONE else 3)]
        values = [few[0]] * count if how is How.ODD_ONE else [rng.choice(few) for _ in range(count)]
        if how is How.ODD_ONE and count:
            values[rng.randrange(count)] = few[1]
        return values
    if how is How.PERIODIC:
        few = [draw() for _ in range(rng.randint(2, 5))]
        return [few[index % len(few)] for index in range(count)]
    values = [draw() for _ in range(count)]
    if how in (How.SORTED, How.REVERSED):
        values.sort(reverse=how is How.REVERSED)
    return values


def draw_words(count: int, letters: str, limits: DrawLimits, where: Where, how: How, rng: random.Random) -> list[str]:
    """Draw `count` words of `letters`, with lengths within `limits`; `how` is the structure of a word."""
    few = _few(letters, rng) if where in (Where.TINY, Where.LOW) else letters
    lengths = draw_numbers(count, limits, where, How.RANDOM, rng)
    if how in _STRUCTURED:
        words = [_word(length, few, how, rng) for length in _affordable(lengths)]
        words += rng.choices(words, k=count - len(words)) if len(words) < count else []
    else:  # letters of all words at once: hundreds of times as fast
        ends = list(accumulate(lengths))
        text = _letters(ends[-1] if ends else 0, few, rng)
        words = [text[end - length : end] for length, end in zip(lengths, ends, strict=True)]
    if how is How.EQUAL and rng.random() < 0.5:
        return words[:1] * count
    if how in (How.SORTED, How.REVERSED):
        words.sort(reverse=how is How.REVERSED)
    return words


def _few(letters: str, rng: random.Random) -> Sequence[str]:
    """Draw two letters, of two classes if there are several: wrong programs mistake digits or marks, not one letter."""
    classes: dict[tuple[bool, bool, bool], list[str]] = {}
    for letter in letters:
        classes.setdefault((letter.islower(), letter.isupper(), letter.isdigit()), []).append(letter)
    if len(classes) > 1:
        return [rng.choice(each) for each in rng.sample(list(classes.values()), 2)]
    return rng.sample(letters, min(2, len(letters)))


def _affordable(lengths: Sequence[int]) -> Sequence[int]:
    """Return the lengths of the first words, as many as are drawn in a fraction of a second. Others repeat them."""
    most = bisect_right(list(accumulate(length + _WORD_COST for length in lengths)), _MOST_LETTERS)
    return lengths[: max(most, 1)]


def _word(length: int, letters: Sequence[str], how: How, rng: random.Random) -> str:
    if how is How.EQUAL:
        return rng.choice(letters) * length
    if how in (How.PERIODIC, How.ALTERNATING):
        most = max(min(7, length // 2), 2) if how is How.PERIODIC else 2
        period = "".join(rng.choices(letters, k=rng.randint(2, most)))
        return (period * (length // len(period) + 1))[:length]
    if how is How.RAMP:
        return ("".join(letters) * (length // len(letters) + 1))[:length]
    if how is How.ODD_ONE and length:
        at = rng.randrange(length)
        return letters[0] * at + rng.choice(letters) + letters[0] * (length - at - 1)
    if how is How.FEW:  # a palindrome
        half = _letters(length // 2, letters, rng)
        return half + _letters(length % 2, letters, rng) + half[::-1]
    return _letters(length, letters, rng)


def _letters(length: int, letters: Sequence[str], rng: random.Random) -> str:
    """Draw letters. A long word is drawn by bytes: ten times as fast, but with 10 times "a" for 9 times "z"."""
    if length < _LONG or not all(letter.isascii() for letter in letters):
        return "".join(rng.choices(letters, k=length))
    return rng.randbytes(length).translate(_table("".join(letters))).decode("ascii")


@lru_cache(maxsize=64)
def _table(letters: str) -> bytes:
    """Return a table of all bytes to letters, each about as often."""
    return bytes(ord(letters[byte % len(letters)]) for byte in range(256))


def decimal(value: int, decimals: int) -> str:
    """Return a number that is given in units of its last decimal, as text."""
    whole, rest = divmod(abs(value), 10**decimals)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{rest:0{decimals}}" if decimals else f"{sign}{whole}"


_MOST_LETTERS, _WORD_COST = 300_000, 10  # drawn one by one for a list of words, and what a word costs beside them
_STRUCTURED = frozenset((How.EQUAL, How.PERIODIC, How.ALTERNATING, How.RAMP, How.ODD_ONE, How.FEW))
_WHOLE = 0.2  # share of lists with whole numbers, where there are decimals


def draw_decimals(
    count: int, limits: DrawLimits, decimals: int, where: Where, how: How, rng: random.Random
) -> list[int]:
    """Draw `count` numbers within `limits`. Limits are whole; results are in units of the last of `decimals` digits."""
    scale = 10**decimals
    scaled = DrawLimits(*(bound * scale for bound in (limits.low, limits.high, limits.seen_low, limits.seen_high)))
    if rng.random() < _WHOLE:
        return [scale * value for value in draw_numbers(count, limits, where, how, rng)]
    return draw_numbers(count, scaled, where, how, rng)


def hashed(count: int, low: int, high: int, rng: random.Random) -> list[int]:
    """Return multiples of a number of buckets, as far as the range allows, then again from the start."""
    width = high - low
    fitting = [size for size in _BUCKETS if size * count <= width]
    step = rng.choice(fitting) if fitting else next((size for size in _BUCKETS if size * 10 <= width), max(width, 1))
    first = -(-low // step) * step
    most = (high - first) // step + 1
    if most <= 0:
        return [low] * count
    return [first + step * (index % most) for index in range(count)]
