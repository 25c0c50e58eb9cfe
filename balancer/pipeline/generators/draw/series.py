"""Series and words on which particular algorithms are at their worst: hashing, quicksort, matching of patterns.

Pure: numbers and letters in, a list or a word out. They must not know where a series stands in an input.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["hashed", "ordered", "self_similar", "word"]

Value = TypeVar("Value")

# Numbers of buckets that hash tables of common C++ libraries have once some 10**5 values are in them.
_BUCKETS = (107897, 126271, 85229, 172933, 62233, 20753)


def hashed(count: int, low: int, high: int, rng: random.Random) -> list[int]:
    """Return multiples of a number of buckets, as far as the range goes, then from the start again."""
    width = high - low
    fitting = [size for size in _BUCKETS if size * count <= width]
    step = rng.choice(fitting) if fitting else next((size for size in _BUCKETS if size * 10 <= width), max(width, 1))
    first = -(-low // step) * step
    most = (high - first) // step + 1
    if most <= 0:
        return [low] * count
    return [first + step * (index % most) for index in range(count)]


def ordered(how: str, values: Sequence[Value], rng: random.Random) -> list[Value]:
    """Arrange sorted values: "ORGAN_PIPE" up and down, "ZIGZAG" small and large in turn, "PIVOTS" against quicksort."""
    count = len(values)
    if how == "ORGAN_PIPE":
        return [*values[::2], *values[1::2][::-1]]
    if how == "ZIGZAG":
        found: list[Value] = []
        for low, high in zip(values[: (count + 1) // 2], reversed(values[(count + 1) // 2 :]), strict=False):
            found += (low, high)
        return found if len(found) == count else [*found, values[(count - 1) // 2]]
    ranks = _middle_pivots(count) if rng.random() < 0.5 else _median_of_three(count)
    return [values[rank] for rank in ranks]


def _middle_pivots(count: int) -> list[int]:
    """Return ranks of which the middle one is always the greatest that is left."""
    ranks = list(range(count))
    for index in range(2, count):
        ranks[index], ranks[index // 2] = ranks[index // 2], ranks[index]
    return ranks


def _median_of_three(count: int) -> list[int]:
    """Return ranks of which the median of the first, the middle and the last is small (Musser, 1997)."""
    half = count // 2
    ranks = [0] * (2 * half)
    for index in range(half):
        ranks[index] = index if index % 2 == 0 else half + index - 1 + half % 2
        ranks[half + index] = 2 * index + 1
    # The few ranks that this leaves twice, and those that it leaves out, change places.
    free = iter(sorted(set(range(count)) - set(ranks)))
    seen: set[int] = set()
    for index, rank in enumerate(ranks):
        if rank in seen or rank >= count:
            ranks[index] = next(free)
        seen.add(ranks[index])
    return [*ranks, *free]


def self_similar(count: int, rng: random.Random) -> Sequence[int]:
    """Return a word of zeros and ones: Thue and Morse's, Fibonacci's, or one in which each short word comes once."""
    kind = rng.randrange(3)
    if kind == 0:
        word = b"\0"
        while len(word) < count:
            word += word.translate(bytes([1, 0]) + bytes(range(2, 256)))
    elif kind == 1:
        before, word = b"\1", b"\0"
        while len(word) < count:
            before, word = word, word + before
    else:
        word = _de_bruijn(max(count.bit_length(), 2))
        word *= count // len(word) + 1
    return word[:count]


def _de_bruijn(length: int) -> bytes:
    """Return a cyclic word with every word of `length` zeros and ones once: 1 wherever it leads to a new one."""
    length = min(length, 18)
    seen = bytearray(1 << length)
    state, mask = 0, (1 << length) - 1
    found = bytearray()
    while True:
        following = ((state << 1) & mask) | 1
        if seen[following]:
            following ^= 1
            if seen[following]:
                return bytes(found)
        seen[following] = 1
        found.append(following & 1)
        state = following


def word(how: str, length: int, letters: Sequence[str], rng: random.Random) -> str:
    """Return a word: "PERIODIC", "FRACTAL", or one letter and another at an end ("HASHED") or inside ("PIVOTS")."""
    one, other = (rng.sample(list(letters), 2) if len(set(letters)) > 1 else [letters[0]] * 2)[:2]
    if how == "FRACTAL":
        return "".join((one, other)[bit] for bit in self_similar(length, rng))
    if how == "PERIODIC":
        period = "".join(rng.choices(letters, k=rng.randint(2, max(min(7, length // 2), 2))))
        return (period * (length // len(period) + 1))[:length]
    if how == "HASHED":
        return one * (length - 1) + other if rng.random() < 0.5 else other + one * (length - 1)
    return one * (length // 2) + other + one * (length - length // 2 - 1)
