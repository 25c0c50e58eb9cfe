"""Put hints and facts together: between which values is each field likely to be valid?

Pure. It must not know how values are chosen from a range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.learn.facts import Fact, Facts, ListOrder, TokenKind
from balancer.pipeline.generators.learn.hints import Alphabet, Bounds, Hints
from balancer.pipeline.generators.learn.template import Count

__all__ = ["Range", "find_ranges", "trust"]

# Without any hint: bounds that problems often have, the likely ones first.
_COUNTS = (100, 10**3, 10**5, 10**4, 10, 2 * 10**5)
_VALUES = (10**9, 10**3, 10**6, 10**5, 100, 10**4, 10**18, 2**31 - 1)
_LENGTHS = (20, 100, 10**3, 10, 10**5)
_LARGEST_COUNT = 2 * 10**6  # nothing is counted beyond that: the input would have no place for it
_EXIT_CODES = frozenset({42, 43})  # of validators
_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_SURE = 0.8  # weight from which a pair is believed


@dataclass(frozen=True, slots=True)
class Range:
    """Where valid values of a field are likely to lie.

    Args:
        low: least value of a number; of a word: least length.
        highs: greatest value; where the validator does not name it, several guesses, the likely ones first.
        bound: an earlier field that the value should not exceed.
        letters: what words are made of.
        lowest: the validator names the least value.
    """

    low: int
    highs: tuple[int, ...]
    bound: Count | None = None
    letters: str = ""
    lowest: bool = False

    @property
    def sure(self) -> bool:
        """True if the validator names the bounds, as far as one can read it."""
        return len(self.highs) == 1


def find_ranges(facts: Facts, hints: Hints) -> dict[int, Range]:
    """Return the range of every field."""
    numbers = {number: fact for number, fact in facts.fields.items() if fact.kind is not TokenKind.WORD}
    pairs = _align(list(numbers.items()), hints.pairs)
    ranges = {number: _number_range(fact, pairs.get(number), _guesses(fact, hints)) for number, fact in numbers.items()}
    for number, fact in facts.fields.items():
        if fact.kind is TokenKind.WORD:
            ranges[number] = _word_range(fact, hints.alphabets)
    return ranges


def _align(fields: Sequence[tuple[int, Fact]], pairs: Sequence[Bounds]) -> dict[int, Bounds]:
    """Match fields with pairs, both in the order of the text, so that the sum of their scores is greatest.

    The usual table of an alignment of two sequences (Needleman and Wunsch, 1970), without a price for gaps.
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
    """Rate a pair for a field; 0 or less if it cannot be the field's."""
    if (pair.low is not None and pair.low > fact.low) or (pair.high is not None and pair.high < fact.high):
        return 0.0
    score = pair.weight
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
    if pair is None or pair.high is None:
        return Range(low, guesses, fact.bound, lowest=lowest)
    high = min(pair.high, _LARGEST_COUNT) if fact.counts else pair.high
    if pair.weight >= _SURE:
        return Range(low, (high,), lowest=lowest)
    smaller = [value for value in guesses if fact.high < value < high]
    return Range(low, (*sorted(smaller, reverse=True), high), fact.bound, lowest=lowest)


def _guesses(fact: Fact, hints: Hints) -> tuple[int, ...]:
    """Guess greatest values: what was seen, what the validator names in any pair or anywhere, what is usual."""
    pairs = [pair.high for pair in hints.pairs if pair.high is not None and _score(fact, pair) >= _SURE]
    named = [value for value in reversed(hints.constants) if value not in _EXIT_CODES]
    few = fact.counts or fact.limits
    usual = _COUNTS if few else _VALUES
    limit = _LARGEST_COUNT if few else max(_VALUES)
    guesses = [value for value in (*pairs, *named, *usual) if max(fact.high, 2) < value <= limit]
    return tuple(dict.fromkeys([max(fact.high, 2), *guesses]))


def _word_range(fact: Fact, alphabets: Sequence[Alphabet]) -> Range:
    for alphabet in alphabets:
        fits = set(fact.letters) <= set(alphabet.letters)
        if fits and alphabet.shortest <= fact.low and fact.high <= alphabet.longest:
            return Range(max(alphabet.shortest, 1), (alphabet.longest,), letters=alphabet.letters)
    if fact.low == fact.high == 1:  # single characters
        return Range(1, (1,), letters=_widened(fact))
    longer = tuple(value for value in _LENGTHS if value > fact.high)
    return Range(min(fact.low, 1), (fact.high, *longer), letters=_widened(fact))


def _widened(fact: Fact) -> str:
    """Return the letters seen, and those of their sort unless they look like an alphabet of their own."""
    if fact.closed:
        return fact.letters
    sorts = [sort for sort in (_LOWER, _UPPER, _DIGITS) if set(sort) & set(fact.letters)]
    return "".join(sorted(set(fact.letters).union(*sorts)))


def trust(fact: Fact, hints: Hints) -> Mapping[str, float]:
    """Say how likely it is that what was seen of a list's order, and of its values being distinct, is required.

    Samples are often sorted by accident, or for the reader's comfort. A validator that requires it
    has to talk of it; one that does not talk of it hardly does.
    """
    shares = {}
    for topic, seen in (("order", fact.order is not ListOrder.NONE), ("distinct", fact.distinct)):
        told = topic in hints.mentions
        shares[topic] = 0.0 if not seen else 0.9 if told else 0.2 if hints.known else 0.5
    if fact.permutation:  # hardly an accident
        shares["distinct"] = 0.9
    return shares
