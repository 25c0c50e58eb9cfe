"""Bounds of fields: likely ranges of valid values, from hints and facts. Pure.

Defines the hints that validators' sources give: bounds, alphabets, words. `validator_text` finds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from balancer.pipeline.generators.learn.facts import Fact, Facts, ListOrder, TokenKind
from balancer.pipeline.generators.learn.template import Count

__all__ = [
    "OPEN_LENGTH",
    "Alphabet",
    "Bounds",
    "Hints",
    "Range",
    "find_ranges",
    "trust",
]

# Bounds that problems often have, the likely ones first, for fields without any hint.
_COUNTS = (100, 10**3, 10**5, 10**4, 10, 2 * 10**5)
_VALUES = (10**9, 10**3, 10**6, 10**5, 100, 10**4, 10**18, 2**31 - 1)
_LENGTHS = (20, 100, 10**3, 10, 10**5)
OPEN_LENGTH = 10**5  # letters of a word whose length nothing bounds
_LARGEST_COUNT = 2 * 10**6  # larger counts would make the input too large
_EXIT_CODES = frozenset({42, 43})  # exit codes of validators
_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_SURE = 0.8  # weight from which a pair is trusted


@dataclass(frozen=True, slots=True)
class Bounds:
    """Constant bounds of one number.

    Args:
        low, high: the bounds; for a word: of its length.
        weight: how likely these are bounds.
        name: of the number, if known.
        of_words: whether they bound a length.
        open_low, open_high: whether numbers with decimals may come closer to the bound than 1.
        below: a name that is at least so large, and how far below it is.
    """

    low: int | None
    high: int | None
    weight: float = 1.0
    name: str = ""
    of_words: bool = False
    open_low: bool = False
    open_high: bool = False
    below: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Alphabet:
    """A character class of a regular expression, and the length of its words; no longest one: as long as may be."""

    letters: str
    shortest: int
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """Hints from validators.

    Args:
        pairs: in the order in which the bounded things first appear.
        constants: every constant, sorted.
        alphabets: in the order of the text.
        mentions: "order", "distinct" or "connected" if code, texts or comments mention it.
        known: whether there was a validator at all.
    """

    pairs: tuple[Bounds, ...] = ()
    constants: tuple[int, ...] = ()
    alphabets: tuple[Alphabet, ...] = ()
    mentions: frozenset[str] = frozenset()
    known: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """Likely range of a field's valid values.

    Args:
        low: least value of a number; least length of a word.
        highs: greatest value; if the validator does not name it, several guesses, the likely ones first.
        bound: an earlier field that the value should not exceed.
        letters: characters of words.
        lowest: whether the validator or the statement names the least value.
        below: the field that the statement says is at least so large.
    """

    low: int
    highs: tuple[int, ...]
    bound: Count | None = None
    letters: str = ""
    lowest: bool = False
    below: int | None = None

    @property
    def sure(self) -> bool:
        """Whether the validator names the bounds, as far as its text can be read."""
        return len(self.highs) == 1


def find_ranges(facts: Facts, hints: Hints, told: Sequence[Bounds] = ()) -> dict[int, Range]:
    """Return the range of every field; `told` are the bounds in the statement, for what the validators do not tell."""
    numbers = {number: fact for number, fact in facts.fields.items() if fact.kind is not TokenKind.WORD}
    words = {number: fact for number, fact in facts.fields.items() if fact.kind is TokenKind.WORD and not fact.words}
    ranges = {number: _word_range(fact, Hints(), None) for number, fact in facts.fields.items() if fact.words}
    for fields, of_words in ((numbers, False), (words, True)):
        read, said = (
            _align(list(fields.items()), [pair for pair in pairs if pair.of_words is of_words])
            for pairs in (hints.pairs, told)
        )
        for number, fact in fields.items():
            pair = _filled(read.get(number), said.get(number))
            of = _word_range(fact, hints, pair) if of_words else _number_range(fact, pair, _guesses(fact, hints))
            ranges[number] = of
        named = {pair.name: number for number, pair in said.items()}
        for number, pair in said.items():
            other = None if pair.below is None else named.get(pair.below[0])
            if pair.below is not None and other is not None:
                bound = Count(other, -pair.below[1]) if other < number else ranges[number].bound
                ranges[number] = replace(ranges[number], below=other, bound=bound)
    return ranges


def _filled(read: Bounds | None, said: Bounds | None) -> Bounds | None:
    """Return the validator's bounds; the statement fills in what is missing, or not surely a bound."""
    if read is None or said is None:
        return read or said
    if read.weight < _SURE and said.high is not None and (read.high is None or said.high <= read.high):
        read, said = said, read
    high = said.high if read.high is None and read.low in (None, said.low) else read.high
    weight = max(read.weight, said.weight) if high == said.high else read.weight
    return replace(read, low=said.low if read.low is None else read.low, high=high, weight=weight)


def _align(fields: Sequence[tuple[int, Fact]], pairs: Sequence[Bounds]) -> dict[int, Bounds]:
    """Match fields with pairs, both in the order of the text, with the greatest total score.

    The usual table for the alignment of two sequences (Needleman and Wunsch, 1970), without a cost for gaps.
    """
    best: list[list[tuple[float, dict[int, Bounds]]]] = [[(0.0, {})] * (len(pairs) + 1)]
    for number, fact in fields:
        row: list[tuple[float, dict[int, Bounds]]] = [(0.0, {})]
        for index, pair in enumerate(pairs):
            options = [best[-1][index + 1], row[index]]
            score = _score(fact, pair)
            if score > 0:
                before, matched = best[-1][index]
                options.append((before + score, {**matched, number: pair}))
            row.append(max(options, key=lambda option: option[0]))
        best.append(row)
    return best[-1][-1][1]


def _score(fact: Fact, pair: Bounds) -> float:
    """Return the score of a pair for a field; 0 or less if it cannot match."""
    least = None if pair.low is None else pair.low - (fact.kind is TokenKind.FLOAT and pair.open_low)
    most = None if pair.high is None else pair.high + (fact.kind is TokenKind.FLOAT and pair.open_high)
    if (least is not None and least > fact.low) or (most is not None and most < fact.high):
        return 0.0
    score = pair.weight if (pair.low, pair.high) != (None, None) else 0.05
    if pair.low is not None and pair.high is not None:
        score += 0.3
    if pair.high is None and fact.bound is not None:
        score += 0.6
    if fact.counts and (pair.low or 0) < 0:
        score -= 1.0
    if fact.counts and (pair.high or 0) > _LARGEST_COUNT:
        score -= 0.5
    return score


def _number_range(fact: Fact, pair: Bounds | None, guesses: tuple[int, ...]) -> Range:
    low = min(fact.low, 1) if fact.low >= 0 else -max(abs(fact.low), abs(fact.high))
    lowest = pair is not None and pair.low is not None
    if pair is not None and pair.low is not None:
        low = pair.low
    if fact.kind is TokenKind.FLOAT and pair is not None:
        low -= pair.open_low
    if pair is None or pair.high is None:
        return Range(low, guesses, fact.bound, lowest=lowest)
    high = min(pair.high, _LARGEST_COUNT) if fact.counts else pair.high
    high += fact.kind is TokenKind.FLOAT and pair.open_high
    if pair.weight >= _SURE:
        return Range(low, (high,), lowest=lowest)
    smaller = [value for value in guesses if fact.high < value < high]
    return Range(low, (*sorted(smaller, reverse=True), high), fact.bound, lowest=lowest)


def _guesses(fact: Fact, hints: Hints) -> tuple[int, ...]:
    """Return guesses of greatest values: those seen, those the validator names, and usual ones."""
    pairs = [pair.high for pair in hints.pairs if pair.high is not None and _score(fact, pair) >= _SURE]
    named = [value for value in reversed(hints.constants) if value not in _EXIT_CODES]
    few = fact.counts or fact.limits
    usual = _COUNTS if few else _VALUES
    limit = _LARGEST_COUNT if few else max(_VALUES)
    guesses = [value for value in (*pairs, *named, *usual) if max(fact.high, 2) < value <= limit]
    return tuple(dict.fromkeys([max(fact.high, 2), *guesses]))


def _word_range(fact: Fact, hints: Hints, told: Bounds | None) -> Range:
    for alphabet in hints.alphabets:
        fits = set(fact.letters) <= set(alphabet.letters)
        if fits and alphabet.shortest <= fact.low and (alphabet.longest is None or fact.high <= alphabet.longest):
            low, said = alphabet.shortest, None if told is None else told.high
            if told is not None:
                low = max(low, told.low or 0)
            high = min((each for each in (alphabet.longest, said) if each), default=OPEN_LENGTH)
            return Range(max(low, 1), (high,), letters=alphabet.letters)
    if told is not None and told.high is not None and not fact.low == fact.high == 1:
        low = min(fact.low, 1) if told.low is None else told.low
        return Range(max(low, 1), (told.high,), letters=_widened(fact), lowest=True)
    if fact.low == fact.high == 1:  # single characters
        return Range(1, (1,), letters=_widened(fact))
    longer = tuple(value for value in _LENGTHS if value > fact.high)
    return Range(min(fact.low, 1), (fact.high, *longer), letters=_widened(fact))


def _widened(fact: Fact) -> str:
    """Return the letters seen and others of their kind, unless those seen look like a closed alphabet."""
    if fact.closed:
        return fact.letters
    sorts = [sort for sort in (_LOWER, _UPPER, _DIGITS) if set(sort) & set(fact.letters)]
    return "".join(sorted(set(fact.letters).union(*sorts)))


def trust(fact: Fact, hints: Hints) -> Mapping[str, float]:
    """Return how likely the seen order and distinctness of a list are required.

    Samples are often sorted by chance, or for the reader. A validator that requires it must mention it.
    """
    shares = {}
    for topic, seen in (("order", fact.order is not ListOrder.NONE), ("distinct", fact.distinct)):
        told = topic in hints.mentions
        shares[topic] = 0.0 if not seen else 0.9 if told else 0.2 if hints.known else 0.5
    if fact.permutation:  # unlikely by chance
        shares["distinct"] = 0.9
    return shares
