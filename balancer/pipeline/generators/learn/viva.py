"""Read a VIVA pattern for the bounds of each value: "n (n >= 1; n <= 1000)" is one from 1 to 1000.

Decides what of the language is understood: names, with conditions in brackets behind them that compare the value, or
its length, with a constant. Everything else is passed over; there is no template. Nothing is executed. Pure.
"""

import re
from collections.abc import Iterator

from balancer.pipeline.generators.learn.formula import Chain, chains, plain
from balancer.pipeline.generators.learn.grammar import Grammar
from balancer.pipeline.generators.learn.hints import Bounds

__all__ = ["read_viva"]

_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_NAMED = re.compile(r"([A-Za-z_]\w*)(?:\s*:\s*\w+)?\s*(?=[(\[])")
_APART = re.compile(r";|&&|\band\b", re.IGNORECASE)
_NOT_ALL = re.compile(r"\|\||\bor\b|!(?!=)", re.IGNORECASE)  # such a condition bounds nothing for sure
_LENGTH = re.compile(r"\b(?:length|len|strlen|size)\s*\(\s*([A-Za-z_]\w*)\s*\)|([A-Za-z_]\w*)\s*\.\s*length(?:\(\))?")
_COMPARES = re.compile(r"[<>]")
_PAIRS = {"(": ")", "[": "]"}


def read_viva(text: str) -> Grammar:
    """Read a pattern as far as it is understood."""
    found: dict[str, Bounds] = {}
    for name, condition in _conditions(_COMMENT.sub(" ", text)):
        if name not in found:
            found[name] = _bounds(name, condition)
    return Grammar(bounds=dict(enumerate(found.values())))


def _conditions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each name that has brackets with a comparison behind it, and what they hold."""
    at = 0
    while (match := _NAMED.search(text, at)) is not None:
        at = match.end()
        inside, after = _bracketed(text, at)
        if _COMPARES.search(inside) and re.search(rf"\b{re.escape(match[1])}\b", inside):
            yield match[1], inside
            at = after


def _bracketed(text: str, at: int) -> tuple[str, int]:
    """Return what stands between the bracket at `at` and the one that closes it, and the place after it."""
    opens, closes = text[at], _PAIRS[text[at]]
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] == opens) - (text[place] == closes)
        if depth == 0:
            return text[at + 1 : place], place + 1
    return text[at + 1 :], len(text)


def _bounds(name: str, condition: str) -> Bounds:
    low: int | None = None
    high: int | None = None
    open_low = open_high = of_words = False
    for part in _APART.split(condition):
        if _NOT_ALL.search(part):
            continue
        bare = _LENGTH.sub(lambda match: match[1] or match[2], part)
        for chain in chains(
            plain(re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda match: "x" if match[0] == name else "y", bare))
        ):
            least, most = _least(chain), _most(chain)
            of_words |= bare != part and (least is not None or most is not None)
            if least is not None and (low is None or least > low):
                low, open_low = least, chain.apart > 0
            if most is not None and (high is None or most < high):
                high, open_high = most, chain.apart > 0
    return Bounds(low, high, 1.2, name, of_words=of_words, open_low=open_low, open_high=open_high)


def _least(chain: Chain) -> int | None:
    """Return what the value is at least, by this comparison."""
    if not any(right.product == ("x",) for right in chain.right):
        return None
    values = [value for left in chain.left if (value := left.shifted(chain.apart).constant) is not None]
    return max(values, default=None)


def _most(chain: Chain) -> int | None:
    if not any(left.product == ("x",) for left in chain.left):
        return None
    values = [value for right in chain.right if (value := right.shifted(-chain.apart).constant) is not None]
    return min(values, default=None)
