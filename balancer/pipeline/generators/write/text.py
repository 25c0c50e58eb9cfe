"""Change inputs that have no template: token by token, line by line, or byte by byte.

The last resort, so it assumes nothing: any bytes will do, and none at all.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence

__all__ = ["text_changes"]

_TOKENS = re.compile(rb"(\s+)")
_NUMBER = re.compile(rb"-?[0-9]{1,18}")
_NUMBERS = (0, 1, -1, 2, 10, 100, 10**5, 10**6, 10**9, 2**31 - 1, 2**31, 10**18)

_Change = tuple[str, bytes]


def text_changes(inputs: Sequence[bytes], rng: random.Random) -> Iterator[_Change]:
    """Yield changes of `inputs` and what was done, without end unless there is no input."""
    while inputs:
        for kind in _KINDS:
            yield kind(rng.choice(inputs), rng)


def _change_number(data: bytes, rng: random.Random) -> _Change:
    parts = _TOKENS.split(data)
    places = [index for index, part in enumerate(parts) if _NUMBER.fullmatch(part)]
    if not places:
        return _change_token(data, rng)
    at = rng.choice(places)
    old = int(parts[at])
    new = rng.choice((old - 1, old + 1, 2 * old, -old, *_NUMBERS))
    parts[at] = str(new).encode()
    return f"token {at // 2 + 1}: {old} -> {new}", b"".join(parts)


def _change_token(data: bytes, rng: random.Random) -> _Change:
    parts = _TOKENS.split(data)
    places = [index for index, part in enumerate(parts) if part and not part.isspace()]
    if not places:
        return "a byte more", data + bytes([rng.randrange(33, 127)])
    at, source = rng.choice(places), rng.choice(places)
    parts[at] = rng.choice((parts[source], parts[at] * 2, parts[at][:1], parts[at][::-1], parts[at].swapcase()))
    return f"token {at // 2 + 1} changed", b"".join(parts)


def _swap_lines(data: bytes, rng: random.Random) -> _Change:
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return _change_byte(data, rng)
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return f"lines {one + 1} and {other + 1} swapped", b"".join(lines)


def _copy_line(data: bytes, rng: random.Random) -> _Change:
    lines = data.splitlines(keepends=True)
    if not lines:
        return _change_byte(data, rng)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one] = lines[other]
    return f"line {one + 1} like line {other + 1}", b"".join(lines)


def _change_byte(data: bytes, rng: random.Random) -> _Change:
    if not data:
        return "a line", b"%d\n" % rng.choice(_NUMBERS)
    at = rng.randrange(len(data))
    return f"byte {at + 1} changed", data[:at] + bytes([data[rng.randrange(len(data))]]) + data[at + 1 :]


_KINDS: tuple[Callable[[bytes, random.Random], _Change], ...] = (
    _change_number,
    _swap_lines,
    _change_token,
    _change_number,
    _copy_line,
    _change_byte,
)
