"""Choose the values of one input: sizes first, then values that keep to what is known about them.

It must not know in which order an input is written; `build` asks for values as it goes along.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.bounds import Range, trust
from balancer.pipeline.generators.draw import How, Limits, Where, draw_number, draw_numbers, draw_words
from balancer.pipeline.generators.facts import Fact, Kind, Tie
from balancer.pipeline.generators.graphs import Shape, draw_edges, edges_wanted
from balancer.pipeline.generators.study import EdgeTable, Load, Study
from balancer.pipeline.generators.styles import MOST, Style
from balancer.pipeline.generators.template import whole_number

__all__ = ["Fill", "TooLargeError"]

_ROOM_BYTES = 1_500_000  # of one input: what 2 * 10**5 numbers of six digits take
_MOST_TOKENS = 300_000
_FREE_LENGTH = 1000  # of a list that nothing counts
_SEEN_BOUND_TRUST, _TIE_TRUST, _LOOSE_TIE_TRUST = 0.9, 0.85, 0.4
_CERTAIN_LINES = 5  # lines in which a tie was seen that make it no accident

Columns = list[list[str]]


class TooLargeError(Exception):
    """The input would take more room than there is, or cannot be made at all."""


@dataclass(frozen=True, slots=True)
class _Mood:
    """What was decided about one field for the whole input."""

    where: Where
    how: How
    high: int
    bounded: bool
    ordered: bool
    distinct: bool


class Fill:
    """Values for one input in one style. Everything that is left to chance is decided by `rng`."""

    def __init__(self, study: Study, style: Style, rng: random.Random) -> None:
        self._study = study
        self._style = style
        self._rng = rng
        self._moods = {number: self._mood(number) for number in study.ranges}
        self._ties = [relation for relation in study.facts.relations if rng.random() < self._tie_trust(relation.lines)]
        self.sizes: dict[int, int] = {}

    def _mood(self, number: int) -> _Mood:
        rng, fact, found = self._rng, self._study.facts.fields[number], self._study.ranges[number]
        trusted = trust(fact, self._study.hints)
        return _Mood(
            where=rng.choice(self._style.where),
            how=rng.choice(self._style.how),
            high=found.highs[0] if rng.random() < 0.6 else rng.choice(found.highs),
            bounded=found.bound is not None and rng.random() < _SEEN_BOUND_TRUST,
            ordered=rng.random() < trusted["order"],
            distinct=rng.random() < trusted["distinct"],
        )

    def _tie_trust(self, lines: int) -> float:
        return _TIE_TRUST if lines >= _CERTAIN_LINES else _LOOSE_TIE_TRUST

    def length(self, number: int) -> int:
        """Choose the length of a list that nothing counts."""
        size = self._style.size
        most = min(_FREE_LENGTH, _ROOM_BYTES // self._width(number))
        return min(self._rng.randint(size.low, size.high), most)

    def columns(
        self, fields: Sequence[int], given: Sequence[Sequence[str] | None], count: int, values: Mapping[int, int]
    ) -> Columns:
        """Return `count` tokens for each field; those that are given come first.

        `values` are the earlier single fields. Raises TooLargeError.
        """
        if count > _MOST_TOKENS:
            raise TooLargeError
        known = dict(values)
        columns: dict[int, list[str]] = {}
        for number, tokens in zip(fields, given, strict=True):
            kept = [] if tokens is None else self._refitted(number, tokens[:count], known)
            columns[number] = kept + self._fresh(number, count - len(kept), known)
            if count == 1:
                self._learn(number, columns[number][0], known)
        if not any(tokens is not None for tokens in given):
            self._shape(columns, count, known)
        self._tie(columns)
        return [columns[number] for number in fields]

    def _learn(self, number: int, token: str, known: dict[int, int]) -> None:
        value = whole_number(token)
        if value is not None:
            known[number] = value
            if number in self._study.sizes:
                self.sizes[number] = value

    # Sizes

    def _size(self, number: int, known: Mapping[int, int]) -> int:
        found, mood = self._study.ranges[number], self._moods[number]
        size = self._style.blocks if number in self._study.blocks else self._style.size
        most = mood.high if size.high == MOST else max(found.highs)
        most = min(most, self._room(number, known), *self._bounds(number, known))
        wanted = self._rng.randint(size.low, size.high)
        for edges in self._study.edges:
            shape = self._style.shape
            if edges.rows is not None and edges.rows.field == number and edges.bound.field in known:
                nodes = edges.bound.of(known) - edges.low + 1
                if shape is not None:
                    exact = edges_wanted(shape, nodes)
                    wanted = wanted if exact is None else exact - edges.rows.plus
                if edges.simple:
                    most = min(most, nodes * (nodes - 1) // 2 - edges.rows.plus)
        return max(min(wanted, most), found.low if wanted or found.sure else 0, 0)

    def _bounds(self, number: int, known: Mapping[int, int]) -> list[int]:
        bound = self._study.ranges[number].bound
        if bound is None or not self._moods[number].bounded or bound.field not in known:
            return []
        return [max(bound.of(known), 0)]

    def _room(self, number: int, known: Mapping[int, int]) -> int:
        """Return how many there is room for, given the sizes that are settled."""
        return min((self._load_room(load, known) for load in self._study.loads.get(number, ())), default=MOST)

    def _load_room(self, load: Load, known: Mapping[int, int]) -> int:
        bytes_each = 1 if load.letters_only else sum(self._width(number) for number in load.fields)
        tokens_each = 1 if load.letters_only else len(load.fields)
        for number in load.around:
            bytes_each *= max(known.get(number, 1), 1)
            tokens_each *= max(known.get(number, 1), 1)
        return min(_ROOM_BYTES // max(bytes_each, 1), 2 * _MOST_TOKENS // max(tokens_each, 1))

    def _width(self, number: int) -> int:
        """Return about how many bytes a token takes, with the space after it."""
        fact, mood = self._study.facts.fields[number], self._moods[number]
        if fact.length is not None:
            return 2
        small = mood.where in (Where.TINY, Where.LOW, Where.SEEN)
        high = fact.high if small else mood.high
        if fact.kind is Kind.WORD:
            return high + 1
        return len(str(high)) + fact.decimals + 1

    # Values

    def _fresh(self, number: int, count: int, known: Mapping[int, int]) -> list[str]:
        fact, mood = self._study.facts.fields[number], self._moods[number]
        if count <= 0:
            return []
        if fact.kind is Kind.WORD:
            return self._words(number, count, known)
        if number in self._study.sizes and count == 1:
            return [str(self._size(number, known))]
        limits = self._limits(number, known)
        if fact.kind is Kind.FLOAT:
            return self._floats(fact, limits, count)
        if mood.distinct and limits.high - limits.low + 1 >= count:
            drawn = self._rng.sample(range(limits.low, limits.low + self._span(limits, count, fact)), count)
        else:
            drawn = draw_numbers(count, limits, mood.where, mood.how, self._rng)
        return list(map(str, sorted(drawn) if mood.ordered else drawn))

    def _span(self, limits: Limits, count: int, fact: Fact) -> int:
        """Return from how many values distinct ones are drawn: just enough for a permutation, else up to all."""
        width = limits.high - limits.low + 1
        if fact.permutation:
            return count
        return width if self._rng.random() < 0.5 else min(width, 2 * count + 2)

    def _limits(self, number: int, known: Mapping[int, int]) -> Limits:
        fact, found, mood = self._study.facts.fields[number], self._study.ranges[number], self._moods[number]
        high = min(self._bounds(number, known), default=mood.high)
        return Limits(found.low, max(high, found.low), fact.low, fact.high)

    def _floats(self, fact: Fact, limits: Limits, count: int) -> list[str]:
        scale = 10**fact.decimals
        scaled = Limits(limits.low * scale, limits.high * scale, fact.low * scale, fact.high * scale)
        if self._rng.random() < 0.2:  # as whole numbers, written as such or not
            return [f"{draw_number(limits, self._rng.choice(self._style.where), self._rng)}.0" for _ in range(count)]
        drawn = draw_numbers(
            count, scaled, self._rng.choice(self._style.where), self._rng.choice(self._style.how), self._rng
        )
        return [
            f"{'-' if value < 0 else ''}{abs(value) // scale}.{abs(value) % scale:0{fact.decimals}}" for value in drawn
        ]

    def _words(self, number: int, count: int, known: Mapping[int, int]) -> list[str]:
        fact, found, mood = self._study.facts.fields[number], self._study.ranges[number], self._moods[number]
        if fact.words:
            return self._rng.choices(fact.words, self._keyword_weights(len(fact.words)), k=count)
        most = min(mood.high, max(_ROOM_BYTES // count - 1, 1))
        limits = Limits(found.low, most, fact.low, min(fact.high, most))
        if fact.length is not None and fact.length.field in known:
            exact = fact.length.of(known)
            limits = Limits(exact, exact, exact, exact)
        letters = fact.letters if mood.where is Where.SEEN else found.letters
        words = draw_words(count, letters, limits, mood.where, mood.how, self._rng)
        return _distinct_words(words, letters, most) if mood.distinct else words

    def _keyword_weights(self, count: int) -> list[float]:
        """Weigh keywords about equally, or one far above the others: mostly "push" makes a deep stack."""
        power = self._rng.choice((0, 1, 6))
        return [self._rng.random() ** power + 1e-3 for _ in range(count)]

    # What binds values together

    def _shape(self, columns: dict[int, list[str]], count: int, known: Mapping[int, int]) -> None:
        for edges in self._study.edges:
            if edges.left in columns and edges.right in columns and edges.bound.field in known:
                drawn = self._edges(edges, count, known)
                columns[edges.left] = [str(edges.low + left) for left, _ in drawn]
                columns[edges.right] = [str(edges.low + right) for _, right in drawn]

    def _edges(self, edges: EdgeTable, count: int, known: Mapping[int, int]) -> list[tuple[int, int]]:
        nodes = edges.bound.of(known) - edges.low + 1
        simple = edges.simple and self._rng.random() < 0.8
        drawn = draw_edges(self._style.shape or Shape.RANDOM, nodes, count, self._rng, simple=simple)
        if len(drawn) < count:
            raise TooLargeError
        return drawn

    def _tie(self, columns: dict[int, list[str]]) -> None:
        """Put the values of each line in the order that was always seen between two of its fields."""
        for tie in self._ties:
            if tie.left in columns and tie.right in columns and not {tie.left, tie.right} & self._study.sizes:
                pairs = zip(columns[tie.left], columns[tie.right], strict=True)
                mended = [
                    self._tied(int(left), int(right), tie.tie, self._study.ranges[tie.right]) for left, right in pairs
                ]
                columns[tie.left] = [str(left) for left, _ in mended]
                columns[tie.right] = [str(right) for _, right in mended]

    def _tied(self, left: int, right: int, tie: Tie, found: Range) -> tuple[int, int]:
        if tie is not Tie.DIFFER:
            left, right = min(left, right), max(left, right)
        if left == right and tie is not Tie.AT_MOST:
            right = right + 1 if right < max(found.highs) else right
            left = left - 1 if left == right else left
        return left, right

    def _refitted(self, number: int, tokens: Sequence[str], known: Mapping[int, int]) -> list[str]:
        """Make given tokens fit sizes that may have changed."""
        fact = self._study.facts.fields[number]
        if fact.length is not None and fact.length.field in known:
            length = fact.length.of(known)
            return [(token * (length // max(len(token), 1) + 1))[:length] for token in tokens]
        limit = min(self._bounds(number, known), default=None)
        if fact.kind is not Kind.INT or limit is None or limit < fact.low or number in self._study.sizes:
            return list(tokens)
        width = limit - min(fact.low, 1) + 1
        start = min(fact.low, 1)
        return [token if int(token) <= limit else str(start + (int(token) - start) % width) for token in tokens]


def _distinct_words(words: list[str], letters: str, longest: int) -> list[str]:
    """Make words distinct, as far as there is room, by letters after those that came before."""
    seen: set[str] = set()
    distinct = []
    for index, word in enumerate(words):
        while word in seen and len(word) < longest and len(letters) > 1:
            word += letters[index % len(letters)]
        seen.add(word)
        distinct.append(word)
    return distinct
