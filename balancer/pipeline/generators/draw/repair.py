"""Repair of tokens: bounds, permutations, ties, letters that occur once; and rules for drawn columns.

Rules are sums, parents, brackets and symmetric matrices. Decides once for an input which rules it keeps, in which
order, and how a list is changed for each.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.values import decimal
from balancer.pipeline.generators.learn.facts import Tie
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import Rule, RuleKind, scaled

__all__ = [
    "Columns",
    "KeptRules",
    "RulesConflict",
    "balance",
    "cap_sum",
    "distinct_numbers",
    "distinct_words",
    "fit_sum",
    "fold",
    "parents",
    "place_once",
    "ranks",
    "resize_word",
    "tie",
    "within",
]

Columns = dict[int, list[str]]


def fold(values: Sequence[int], low: int, high: int) -> list[int]:
    """Return the values, with those above `high` spread evenly over `low` to `high`."""
    width = max(high - low + 1, 1)
    return [value if value <= high else low + (value - low) % width for value in values]


def ranks(values: Sequence[int], low: int) -> list[int]:
    """Return the permutation of `low`, `low` + 1, ... in the order of the values; equal values from left to right."""
    order = sorted(range(len(values)), key=lambda index: (values[index], index))
    found = [0] * len(values)
    for rank, index in enumerate(order):
        found[index] = low + rank
    return found


def tie(left: int, right: int, kind: Tie, high: int) -> tuple[int, int]:
    """Return two values in the order of `kind`, with `right` at most `high` if possible."""
    if kind is not Tie.DIFFER:
        left, right = min(left, right), max(left, right)
    if left == right and kind is not Tie.AT_MOST:
        return (left, right + 1) if right < high else (left - 1, right)
    return left, right


def within(pair: tuple[int, int], kind: Tie, low: int, highest: int, high: int) -> tuple[int, int]:
    """Return two tied values, the left one within `low` to `highest`, the right one at most `high`."""
    left, right = min(max(pair[0], low), highest), min(pair[1], high)
    if kind is Tie.LESS and left >= right > low:
        left = right - 1
    return min(left, right) if kind is Tie.AT_MOST else left, right


def resize_word(word: str, length: int) -> str:
    """Return the word, cut or repeated to `length`."""
    return (word * (length // max(len(word), 1) + 1))[:length]


def distinct_numbers(values: Sequence[int], low: int, high: int, rng: random.Random) -> list[int]:
    """Replace repeated values by other numbers between `low` and `high`, as far as there are any."""
    if len(set(values)) == len(values) or high - low + 1 < len(values):
        return list(values)
    seen: set[int] = set()
    found = []
    for value in values:
        tries = 0
        while value in seen and tries < 50:
            value = rng.randint(low, min(high, low + 4 * len(values)) if tries > 20 else high)
            tries += 1
        seen.add(value)
        found.append(value)
    return found


def distinct_words(words: Sequence[str], letters: str, longest: int) -> list[str]:
    """Make words distinct: with appended letters, or where there is no room by the words that follow."""
    seen: set[str] = set()
    last: dict[str, str] = {}
    distinct = []
    for index, word in enumerate(words):
        count = index
        while word in seen and len(word) < longest and len(letters) > 1:
            word += letters[count % len(letters)]
            count //= len(letters)
        if word in seen:
            full, word = word, last.get(word, word)
            for _ in range(_TRIES):
                word = _following(word, letters)
                if word not in seen:
                    break
            last[full] = word
        seen.add(word)
        distinct.append(word)
    return distinct


def _following(word: str, letters: str) -> str:
    """Return the next word of the same length in the order of the letters; after the last one comes the first."""
    rest = word.rstrip(letters[-1])
    if not rest:
        return letters[0] * len(word)
    return rest[:-1] + letters[letters.find(rest[-1]) + 1] + letters[0] * (len(word) - len(rest))


def place_once(words: Sequence[str], once: str, letters: str, rng: random.Random) -> list[str]:
    """Keep each letter of `once` in exactly one place of all words. Others become some of `letters`."""
    text, free = list("".join(words)), [letter for letter in letters if letter not in once]
    if not free:
        return list(words)
    for letter in once:
        places = [at for at, found in enumerate(text) if found == letter]
        others = places or [at for at, found in enumerate(text) if found not in once]
        if others:
            kept = rng.choice(others)
            for at in places:
                text[at] = rng.choice(free)
            text[kept] = letter
    made = iter(text)
    return ["".join(islice(made, len(word))) for word in words]


_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def fit_sum(values: Sequence[int], total: int, low: int, high: int, rng: random.Random) -> list[int] | None:
    """Return values from `low` to `high` with the sum `total`, in proportion to the given ones; None if impossible."""
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
    """Return values with a sum of at most `most`, none below `low` unless it was before; None if impossible."""
    total = sum(values)
    if total <= most:
        return list(values)
    base = min(low, min(values))
    need = most - len(values) * base
    if need < 0:
        return None
    whole = total - len(values) * base
    return [base + (value - base) * need // whole for value in values]


def parents(values: Sequence[int], plus: int, low: int, kind: str, rng: random.Random) -> list[int]:
    """Return numbers less than their index plus `plus`: a deep tree ("path"), a flat one ("star"), or as given."""
    found = []
    for index, value in enumerate(values):
        most = index + plus - 1
        if kind == "path":
            found.append(max(most, low))
        elif kind == "star":
            found.append(low)
        elif kind == "deep":
            found.append(max(most - rng.randrange(3), low))
        elif kind == "binary":
            found.append(max((most + low) // 2, low))
        else:
            found.append(value if low <= value <= most else low + (value - low) % max(most - low + 1, 1))
    return found


def balance(word: str, letters: str, rng: random.Random) -> str:
    """Return balanced brackets, about as long as the word: fully nested, flat, or in between."""
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


_TRIES = 60  # of other values for a line that is there already


class RulesConflict(Exception):
    """The drawn values cannot satisfy a rule."""


@dataclass(slots=True)
class _DrawContext:
    """State of the rules for one input.

    Attributes:
        knowledge: of the format.
        shape: of the graph, if there is one.
        rng: for random choices.
        drawn: the columns so far, by field.
        rows: of incomplete matrices, by field.
        patches: new values of single fields that are already written, by field; the writer takes them.
    """

    knowledge: Knowledge
    shape: Shape | None
    rng: random.Random
    drawn: Columns = field(default_factory=dict)
    rows: dict[int, list[list[str]]] = field(default_factory=dict)
    patches: dict[int, int] = field(default_factory=dict)

    def limits(self, number: int) -> tuple[int, int]:
        found = self.knowledge.ranges[number]
        return found.low, max(found.highs)


_TREES = {Shape.PATH: "path", Shape.STAR: "star", Shape.DEEP: "deep", Shape.BINARY: "binary"}


def _balanced(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    number = rule.fields[0]
    if number in columns:
        letters = context.knowledge.facts.fields[number].letters
        columns[number] = [balance(word, letters, context.rng) for word in columns[number]]


def _parents(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Make each value less than its place: the parents of a tree."""
    number = rule.fields[0]
    if number in columns:
        kind = "as given" if context.shape is None else _TREES.get(context.shape, "as given")
        low = min(context.knowledge.facts.fields[number].low, 1)
        values = list(map(int, columns[number]))
        columns[number] = list(map(str, parents(values, rule.value or 1, low, kind, context.rng)))


def _symmetric(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Make each row of a matrix fit the earlier rows."""
    number = rule.fields[0]
    if number not in columns:
        return
    tokens = columns[number]
    rows = context.rows.setdefault(number, [])
    if rows and (len(rows) >= len(rows[0]) or len(rows[0]) != len(tokens)):
        rows.clear()  # the next matrix begins
    for index, row in enumerate(rows):
        tokens[index] = row[len(rows)]
    if rule.value is not None and len(rows) < len(tokens):
        tokens[len(rows)] = str(rule.value)
    rows.append(tokens)


def _sum(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Give a list the sum that a field names, or change that field to the sum. Raises RulesConflict."""
    single, number = rule.fields
    if single > number and single in columns and context.drawn.get(number):
        columns[single] = [str(sum(map(int, context.drawn[number])))]
    if not columns.get(number):
        return
    values = list(map(int, columns[number]))
    low, high = context.limits(number)
    told = known.get(single) if single < number else None
    fitted = None if told is None else fit_sum(values, told, low, high, context.rng)
    if fitted is None:
        if told is not None and single in context.knowledge.loads:
            raise RulesConflict
        fitted = cap_sum(values, max(context.knowledge.ranges[single].highs), low)
        if fitted is None:
            raise RulesConflict
        if told is not None:
            context.patches[single] = sum(fitted)
    columns[number] = list(map(str, fitted))


def _sum_is(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Give a list the sum that it always has. Raises RulesConflict."""
    number = rule.fields[0]
    if not columns.get(number):
        return
    decimals = context.knowledge.facts.fields[number].decimals
    values = scaled(columns[number], decimals)
    low, high = (bound * 10**decimals for bound in context.limits(number))
    least = max(low, 1) if low >= 0 and values is not None and len(values) <= (rule.value or 0) else low
    fitted = None if values is None else fit_sum(values, rule.value or 0, least, max(high, least), context.rng)
    if fitted is None:
        raise RulesConflict
    columns[number] = [decimal(value, decimals) for value in fitted]


# In this order: rules about one list, then sums.
_SETTLED = {
    RuleKind.BALANCED: _balanced,
    RuleKind.PARENTS: _parents,
    RuleKind.SYMMETRIC: _symmetric,
    RuleKind.SUM_IS: _sum_is,
    RuleKind.SUM: _sum,
}


class KeptRules:
    """The rules of one input.

    Args:
        knowledge: of the format; a rule is kept with the probability of its belief.
        shape: of the graph, if there is one.
        rng: for random choices.
    """

    def __init__(self, knowledge: Knowledge, shape: Shape | None, rng: random.Random) -> None:
        self._context = _DrawContext(knowledge, shape, rng)
        kept = [rule for rule, share in knowledge.beliefs.items() if rng.random() < share]
        turns = {kind: turn for turn, kind in enumerate(_SETTLED)}
        self._rules = sorted(kept, key=lambda rule: turns.get(rule.kind, len(turns)))

    def settle(self, columns: Columns, known: Mapping[int, int]) -> None:
        """Change the columns so that the rules hold. Raises RulesConflict."""
        for rule in self._rules:
            settled = _SETTLED.get(rule.kind)
            if settled is not None:
                settled(self._context, rule, columns, known)
        self._context.drawn.update(columns)

    def take_patches(self) -> Iterator[tuple[int, int]]:
        """Yield and remove the patches."""
        while self._context.patches:
            yield self._context.patches.popitem()
