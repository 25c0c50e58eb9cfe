"""Bounds of fields: likely ranges of valid values, from hints and facts. Pure.

Defines the hints that validators' sources give: bounds, alphabets, words. `validator_text` finds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from balancer.pipeline.generators.learn.facts import Fact, Facts, ListOrder, TokenKind
from balancer.pipeline.generators.learn.formula import Formula
from balancer.pipeline.generators.learn.template import Count

__all__ = [
    "OPEN_LENGTH",
    "Alphabet",
    "Bounds",
    "Cap",
    "Hints",
    "ListLimit",
    "Range",
    "Ranges",
    "find_ranges",
    "list_limit",
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
_LINE, _LINE_OF_A_WORD = 0.5, 0.95  # how likely a limit is that of a line, and where one word may be as long
_SURE = 0.8  # weight from which a pair is trusted


@dataclass(frozen=True, slots=True)
class Bounds:
    """Constant bounds of one number.

    Args:
        low, high: the bounds; for a word: of its length.
        weight: how likely these are bounds.
        name: of the number, if known.
        high_by: greatest value in terms of other names.
        of_words: whether they bound a length.
        open_low, open_high: whether numbers with decimals may come closer to the bound than 1.
        looser: a greater upper bound that another source gives.
    """

    low: int | None
    high: int | None
    weight: float = 1.0
    name: str = ""
    high_by: Formula | None = None
    of_words: bool = False
    open_low: bool = False
    open_high: bool = False
    looser: int | None = None


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
class Cap:
    """A greatest value as a formula of other fields, such as m * k."""

    formula: Formula
    fields: tuple[tuple[str, int], ...]

    def of(self, values: Mapping[int, int]) -> int | None:
        """Return the value, given those of other fields; None if one is missing."""
        return self.formula.of({name: values[number] for name, number in self.fields if number in values})


@dataclass(frozen=True, slots=True)
class Range:
    """Likely range of a field's valid values.

    Args:
        low: least value of a number; least length of a word.
        highs: greatest value; if the validator does not name it, several guesses, the likely ones first.
        bound: an earlier field that the value should not exceed.
        letters: characters of words.
        lowest: whether the validator or the statement names the least value.
        cap: the statement's greatest value, in terms of earlier fields.
    """

    low: int
    highs: tuple[int, ...]
    bound: Count | None = None
    letters: str = ""
    lowest: bool = False
    cap: Cap | None = None

    @property
    def sure(self) -> bool:
        """Whether the validator names the bounds, as far as its text can be read."""
        return len(self.highs) == 1


@dataclass(frozen=True, slots=True)
class Ranges:
    """The range of every field, the fields of the names in the statement, and the validators' bounds of no field."""

    of: dict[int, Range]
    named: Mapping[str, int]
    rest: tuple[Bounds, ...]


@dataclass(frozen=True, slots=True)
class ListLimit:
    """How long lists may be that no number counts.

    Args:
        highs: likely greatest lengths.
        by_letters: how likely it is that of the line, in letters.
    """

    highs: tuple[int, ...]
    by_letters: float

    def within_line(self, tokens: Sequence[str]) -> Sequence[str]:
        """Return as many tokens as a line of so many letters has, and at least one."""
        ends = accumulate(len(token) + 1 for token in tokens)
        return tokens[: max(sum(end <= max(self.highs) + 1 for end in ends), 1)]


def list_limit(rest: Sequence[Bounds], lists: Sequence[Sequence[str]], longest: int) -> ListLimit | None:
    """Return the limit of lists that no number counts; None if the validators name none.

    Args:
        rest: the validators' bounds that belong to no field.
        lists: the known ones.
        longest: of the words in them.
    """
    most = max(map(len, lists), default=0)
    fitting = (pair.high for pair in rest if pair.low in (None, 0, 1) and pair.high is not None)
    highs = tuple(dict.fromkeys(high for high in fitting if max(most, 2) <= high <= _LARGEST_COUNT))
    line = max((len(" ".join(tokens)) for tokens in lists), default=0)
    if not highs:
        return None
    likely = _LINE_OF_A_WORD if longest >= max(highs) else _LINE
    return ListLimit(highs, likely if line <= max(highs) else 0.0)


def find_ranges(facts: Facts, hints: Hints, told: Sequence[Bounds] = ()) -> Ranges:
    """Return the range of every field; `told` are the bounds in the statement."""
    numbers = [(number, fact) for number, fact in facts.fields.items() if fact.kind is not TokenKind.WORD]
    words = [(number, fact) for number, fact in facts.fields.items() if fact.kind is TokenKind.WORD and not fact.words]
    keywords = [number for number, fact in facts.fields.items() if fact.kind is TokenKind.WORD and fact.words]
    read = _align(numbers, [pair for pair in hints.pairs if not pair.of_words])
    lengths = _align(words, [pair for pair in hints.pairs if pair.of_words])
    said = _align(numbers, [pair for pair in told if not pair.of_words], marks=True)
    said |= _align(words, [pair for pair in told if pair.of_words])
    named = {pair.name.strip("|"): number for number, pair in said.items()}
    named |= {pair.name: number for number, pair in said.items()}
    ranges = {}
    for number, fact in numbers:
        pair = _better(read.get(number), said.get(number))
        ranges[number] = _number_range(fact, pair, _guesses(fact, hints))
    for number, fact in words:
        ranges[number] = _word_range(fact, hints, _better(lengths.get(number), said.get(number)))
    for number in keywords:
        ranges[number] = _word_range(facts.fields[number], Hints(), None)
    for number, pair in said.items():
        cap = None if pair.high_by is None else _cap(pair.high_by, named, number)
        if cap is not None:
            ranges[number] = _capped(ranges, number, cap, guessed=pair.high is None and number not in read)
    used = (*read.values(), *lengths.values())
    return Ranges(ranges, named, tuple(pair for pair in hints.pairs if pair not in used))


def _better(read: Bounds | None, said: Bounds | None) -> Bounds | None:
    """Return the validator's bounds if it states them clearly. The statement fills in what is missing.

    If the statement's greatest value is less, both are kept, the lesser one first; if by 1, the validator's is open.
    """
    if read is None or said is None:
        return read or said
    if read.high is not None and said.high == read.high - 1:
        return replace(read, high=said.high)
    if read.high is not None and said.high is not None and said.high < read.high and said.low in (None, read.low):
        return replace(read, high=said.high, looser=read.high)
    if read.weight < _SURE and said.high is not None and (read.high is None or said.high <= read.high):
        read, said = said, read
    low = said.low if read.low is None else read.low
    high = said.high if read.high is None and read.low in (None, said.low) else read.high
    return replace(read, low=low, high=high, weight=max(read.weight, said.weight) if high == said.high else read.weight)


def _cap(formula: Formula, named: Mapping[str, int], number: int) -> Cap | None:
    fields = tuple((name, named[name]) for name in formula.names if name in named)
    if len(fields) < len(formula.names) or any(other >= number for _, other in fields):
        return None
    return Cap(formula, fields)


def _capped(ranges: Mapping[int, Range], number: int, cap: Cap, *, guessed: bool) -> Range:
    """Add a cap. If no greatest value is known, the cap's greatest value is used."""
    found = ranges[number]
    most = cap.of({other: max(ranges[other].highs) for _, other in cap.fields})
    if most is None or not guessed:
        return replace(found, cap=cap)
    return replace(found, cap=cap, bound=None, highs=(max(most, found.low),))


def _align(fields: Sequence[tuple[int, Fact]], pairs: Sequence[Bounds], *, marks: bool = False) -> dict[int, Bounds]:
    """Match fields with pairs, both in the order of the text, with the greatest total score.

    The usual table for the alignment of two sequences (Needleman and Wunsch, 1970), without a cost for gaps. With
    `marks`, a field may also have a special value below its bounds.
    """
    best: list[list[tuple[float, dict[int, Bounds]]]] = [[(0.0, {})] * (len(pairs) + 1)]
    for number, fact in fields:
        row: list[tuple[float, dict[int, Bounds]]] = [(0.0, {})]
        for index, told in enumerate(pairs):
            pair = _with_mark(fact, told) if marks else told
            options = [best[-1][index + 1], row[index]]
            score = _score(fact, pair)
            if score > 0:
                before, matched = best[-1][index]
                options.append((before + score, {**matched, number: pair}))
            row.append(max(options, key=lambda option: option[0]))
        best.append(row)
    return best[-1][-1][1]


def _with_mark(fact: Fact, pair: Bounds) -> Bounds:
    """Let bounds include a special value that is seen: 0 on a diagonal of distances from 1 to 10^9, or -1 for none."""
    if fact.low in (-1, 0) and pair.low is not None and fact.low < pair.low <= 1:
        return replace(pair, low=fact.low)
    return pair


def _score(fact: Fact, pair: Bounds) -> float:
    """Return the score of a pair for a field; 0 or less if it cannot match."""
    least = None if pair.low is None else pair.low - (fact.kind is TokenKind.FLOAT and pair.open_low)
    most = None if pair.high is None else pair.high + (fact.kind is TokenKind.FLOAT and pair.open_high)
    if (least is not None and least > fact.low) or (most is not None and most < fact.high):
        return 0.0
    score = pair.weight if (pair.low, pair.high) != (None, None) else 0.05
    score += 0.3 * (pair.high_by is not None)
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
        looser = () if pair.looser is None else (min(pair.looser, _LARGEST_COUNT) if fact.counts else pair.looser,)
        return Range(low, tuple(dict.fromkeys((high, *looser))), lowest=lowest)
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
