"""What the sources of validators hint at: bounds, alphabets, words.

Decides what there is to find; `mine` finds it. Pure.
"""

from dataclasses import dataclass

from balancer.pipeline.generators.learn.formula import Formula

__all__ = ["Alphabet", "Bounds", "Hints"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one number, as far as they are constants.

    Args:
        low, high: the bounds; of a word: of its length.
        weight: how much they look like bounds.
        name: what the number is called, where that is told.
        high_by: what other names say of the greatest value.
        of_words: they bound a length.
        open_low, open_high: numbers that are not whole may come closer to the bound than 1.
    """

    low: int | None
    high: int | None
    weight: float = 1.0
    name: str = ""
    high_by: Formula | None = None
    of_words: bool = False
    open_low: bool = False
    open_high: bool = False


@dataclass(frozen=True, slots=True)
class Alphabet:
    """A character class of a regular expression, and how many of its characters make a word."""

    letters: str
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Hints:
    """What was found.

    Args:
        pairs: in the order in which the things they bound first appear.
        constants: every constant, sorted.
        alphabets: in the order of the text.
        mentions: "order", "distinct" or "connected" if there is any talk of it, in code, texts or comments.
        known: whether there was a validator at all.
        vocabularies: words of which one is expected, as far as they are listed.
    """

    pairs: tuple[Bounds, ...] = ()
    constants: tuple[int, ...] = ()
    alphabets: tuple[Alphabet, ...] = ()
    mentions: frozenset[str] = frozenset()
    known: bool = False
    vocabularies: tuple[tuple[str, ...], ...] = ()
