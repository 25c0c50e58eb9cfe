"""Keep drawn columns to what holds within a list, or between two: permutations, names told before, parents, brackets.

Decides how a list is changed for that.
"""

from collections.abc import Mapping

from balancer.pipeline.generators.draw import fit
from balancer.pipeline.generators.draw.context import Columns, DrawContext, Redraw, RulesConflict
from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.repair import resize_word
from balancer.pipeline.generators.learn.rules import Rule, RuleKind

__all__ = [
    "balanced", "ends", "known_words", "member", "multiple", "parents", "permuted", "rows_differ", "same_length",
    "symmetric",
]  # fmt: skip

_TREES = {Shape.PATH: "path", Shape.STAR: "star", Shape.CATERPILLAR: "deep", Shape.BINARY: "binary", Shape.COMB: "comb"}
_TRIES = 20  # to draw a line that is new


def multiple(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Make each value a multiple of a number."""
    number = rule.fields[0]
    if number in columns:
        low, high = hand.limits(number)
        values = fit.to_multiples(list(map(int, columns[number])), rule.value or 1, low, high)
        columns[number] = list(map(str, values))


def known_words(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Write none but words that are known."""
    number = rule.fields[0]
    words = hand.knowledge.facts.fields[number].seen
    if number in columns and words:
        columns[number] = [word if word in words else hand.rng.choice(words) for word in columns[number]]


def same_length(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Make all words as long as the first."""
    number = rule.fields[0]
    if columns.get(number):
        length = len(columns[number][0])
        columns[number] = [resize_word(word, length) for word in columns[number]]


def balanced(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Balance the brackets of each word."""
    number = rule.fields[0]
    if number in columns:
        letters = hand.knowledge.facts.fields[number].letters
        columns[number] = [fit.balance(word, letters, hand.rng) for word in columns[number]]


def parents(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Make each value a number less than its place: the parents of a tree."""
    number = rule.fields[0]
    if number in columns:
        kind = "as given" if hand.shape is None else _TREES.get(hand.shape, "as given")
        low = min(hand.knowledge.facts.fields[number].low, 1)
        values = list(map(int, columns[number]))
        columns[number] = list(map(str, fit.parents(values, rule.value or 1, low, kind, hand.rng)))


def ends(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Let a list start, or end, with its value."""
    tokens = columns.get(rule.fields[0])
    if tokens:
        tokens[0 if rule.kind is RuleKind.STARTS else -1] = str(rule.value)


def symmetric(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Make each row of a matrix fit the rows before it."""
    number = rule.fields[0]
    if number not in columns:
        return
    tokens = columns[number]
    rows = hand.rows.setdefault(number, [])
    if rows and (len(rows) >= len(rows[0]) or len(rows[0]) != len(tokens)):
        rows.clear()  # the next matrix
    for index, row in enumerate(rows):
        tokens[index] = row[len(rows)]
    if rule.value is not None and len(rows) < len(tokens):
        tokens[len(rows)] = str(rule.value)
    rows.append(tokens)


def member(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Choose each value of one list among those of the other."""
    number, other = rule.fields
    told = columns.get(number) or hand.drawn.get(number)
    if not columns.get(other) or not told:
        return
    among = set(told)
    fact = hand.knowledge.facts.fields[other]
    if fact.distinct and len(columns[other]) <= len(told):
        columns[other] = hand.rng.sample(told, len(columns[other]))
    else:
        columns[other] = [token if token in among else hand.rng.choice(told) for token in columns[other]]


def permuted(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Make one list the other in another order."""
    number, other = rule.fields
    told = columns.get(number) or hand.drawn.get(number)
    if other in columns and told and len(told) == len(columns[other]):
        how = hand.rng.randrange(4)
        shuffled = told[::-1] if how == 0 else list(told) if how == 1 else hand.rng.sample(told, len(told))
        columns[other] = shuffled


def rows_differ(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Draw lines anew until no two are alike. Raises CannotObey."""
    if any(number not in columns for number in rule.fields):
        return
    seen: set[tuple[str, ...]] = set()
    for index in range(len(columns[rule.fields[0]])):
        row = tuple(columns[number][index] for number in rule.fields)
        tries = 0
        while row in seen:
            tries += 1
            if tries > _TRIES:
                raise RulesConflict
            row = tuple(redraw(number) for number in rule.fields)
        seen.add(row)
        if tries:
            for number, token in zip(rule.fields, row, strict=True):
                columns[number][index] = token
