"""Observation of facts in the known inputs: kinds, ranges, order, and bounding fields. Pure.

Facts come from few inputs, so they may be chance. `bounds.trust` tells how reliable they are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from balancer.pipeline.generators.learn.facts import Fact, Facts, ListOrder, TokenKind, find_relations, tables_of
from balancer.pipeline.generators.learn.template import Choice, Count, Instance, LineNode, Node, Repeat, fields_of

__all__ = ["observe"]

_VOCABULARY = 5  # at most so many different words, each seen twice, are keywords
_LETTERS_CLOSED = 4  # at most so many different letters, each seen five times, are an alphabet: "ACGT", ".#"


@dataclass(slots=True)
class _Seen:
    """Every list of values of a field, each with the values of the earlier single fields around it."""

    lists: list[Sequence[str]] = field(default_factory=list)
    contexts: list[dict[int, int]] = field(default_factory=list)

    def tokens(self) -> Iterator[str]:
        for tokens in self.lists:
            yield from tokens


def observe(nodes: Sequence[Node], instances: Sequence[Instance]) -> Facts:
    """Return the facts of instances that were read with the template `nodes`."""
    seen = {number: _Seen() for number in fields_of(nodes)}
    scopes = dict(_scopes(nodes, ()))
    singles = {number for line in _single_lines(nodes) for number in line.fields}
    counting = set(_counting(nodes))
    for instance in instances:
        for (number, where), tokens in instance.items():
            seen[number].lists.append(tokens)
            seen[number].contexts.append(_context(number, where, instance, scopes, singles))
    fields = {number: _fact(what, number in counting) for number, what in seen.items()}
    for choice in _choices(nodes):
        words = tuple(word for word, _ in choice.lines)
        fields[choice.key] = Fact(TokenKind.WORD, 1, max(map(len, words)), words=words)
    tables = [fields for fields in tables_of(nodes) if len(fields) > 1]
    for table in tables:
        fields.update(_shared_bounds({number: fields[number] for number in table}))
    for bound in [fact.bound for fact in fields.values() if fact.bound is not None]:
        if bound.field is not None:
            fields[bound.field] = replace(fields[bound.field], limits=True)
    numbers = [[number for number in table if fields[number].kind is TokenKind.INT] for table in tables]
    relations = [relation for table in numbers for relation in find_relations(table, instances)]
    return Facts(fields, tuple(relations))


def _scopes(nodes: Sequence[Node], around: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield for each field the blocks around it, as the numbers of their first fields."""
    for node in nodes:
        if isinstance(node, Repeat) and node.table is None:
            yield from _scopes(node.body, (*around, next(fields_of(node.body), -1)))
        else:
            yield from ((number, around) for number in fields_of((node,)))


def _single_lines(nodes: Sequence[Node]) -> Iterator[LineNode]:
    for node in nodes:
        if isinstance(node, LineNode):
            yield node
        elif isinstance(node, Repeat) and node.table is None:
            yield from _single_lines(node.body)


def _choices(nodes: Sequence[Node]) -> Iterator[Choice]:
    for node in nodes:
        if isinstance(node, Choice):
            yield node
        elif isinstance(node, Repeat):
            yield from _choices(node.body)


def _counting(nodes: Sequence[Node]) -> Iterator[int]:
    for node in nodes:
        if isinstance(node, Choice):
            continue
        if node.count is not None and node.count.field is not None:
            yield node.count.field
        if isinstance(node, Repeat):
            yield from _counting(node.body)


def _context(
    number: int, where: tuple[int, ...], instance: Instance, scopes: Mapping[int, tuple[int, ...]], singles: set[int]
) -> dict[int, int]:
    """Return the whole numbers that are known before a field is read."""
    known: dict[int, int] = {}
    for other in singles:
        depth = len(scopes[other])
        if other < number and scopes[number][:depth] == scopes[other]:
            tokens = instance.get((other, where[:depth]), ())
            if len(tokens) == 1 and _kind_of(tokens[0]) is TokenKind.INT:
                known[other] = int(tokens[0])
    return known


def _fact(seen: _Seen, counts: bool) -> Fact:
    kinds = {_kind_of(token) for token in seen.tokens()}
    zeros = any(len(token) > 1 and token.startswith("0") for token in seen.tokens())  # words: "0110"
    if TokenKind.WORD in kinds or not kinds or (TokenKind.FLOAT not in kinds and not counts and zeros):
        return _word_fact(seen)
    if TokenKind.FLOAT in kinds:
        values = [float(token) for token in seen.tokens()]
        decimals = max(len(token.partition(".")[2]) for token in seen.tokens())
        return Fact(TokenKind.FLOAT, math.floor(min(values)), math.ceil(max(values)), decimals)
    return _int_fact(seen, counts)


def _word_lengths(seen: _Seen) -> list[list[int]]:
    return [[len(token) for token in tokens] for tokens in seen.lists]


def _kind_of(token: str) -> TokenKind:
    digits = token.removeprefix("-")
    if not digits.isascii() or len(digits) > 300:  # longer tokens are text; and int() has a limit
        return TokenKind.WORD
    if digits.isdigit():
        return TokenKind.INT
    whole, point, rest = digits.partition(".")
    return TokenKind.FLOAT if point and whole.isdigit() and rest.isdigit() else TokenKind.WORD


def _word_fact(seen: _Seen) -> Fact:
    tokens = list(seen.tokens())
    lengths = [len(token) for token in tokens] or [1]
    letters = "".join(sorted(set("".join(tokens)))) or "a"
    words = sorted(set(tokens))
    keywords = len(words) <= _VOCABULARY and len(tokens) >= 2 * len(words) and max(lengths) > 1
    return Fact(
        TokenKind.WORD,
        min(lengths),
        max(lengths),
        letters=letters,
        closed=_is_closed(letters, sum(lengths), max(lengths) == 1),
        words=tuple(words) if keywords and len(words) > 1 else (),
        distinct=_all_distinct(seen.lists),
        once=_once(seen, letters),
        length=_telling(seen, _word_lengths(seen)),
    )


def _is_closed(letters: str, tokens: int, single: bool) -> bool:
    """Return whether letters are a closed alphabet: few and frequent, or the signs of a map."""
    signs = any(not letter.isalnum() for letter in letters)
    few = _LETTERS_CLOSED if not signs else 2 * _LETTERS_CLOSED
    return len(letters) <= few and tokens >= (5 if not signs else 1 if single else 2) * len(letters)


def _once(seen: _Seen, letters: str) -> str:
    if len(seen.lists) < 2 or len(letters) > _LETTERS_CLOSED + 2:
        return ""
    texts = ["".join(tokens) for tokens in seen.lists]
    found = [letter for letter in letters if all(text.count(letter) == 1 for text in texts)]
    # A bracket that occurs once may be chance: then its partner occurs once too.
    return "".join(found) if len(found) < len(letters) and not set(found) & set("()[]{}<>") else ""


def _telling(seen: _Seen, values: list[list[int]]) -> Count | None:
    """Return the earlier field that equals every value, if the values differ."""
    for several in (True, False):  # with only one length, only rows of equal length are trusted
        for number in sorted(set.intersection(*map(set, seen.contexts))) if seen.contexts else ():
            pairs = list(zip(seen.contexts, values, strict=True))
            enough = len({context[number] for context, _ in pairs}) > 1 if several else _are_rows(values)
            if enough and all(context[number] == value for context, found in pairs for value in found):
                return Count(number)
    return None


def _are_rows(lengths: list[list[int]]) -> bool:
    """Return whether words look like the rows of a grid: several in every list, all of one length."""
    rows = [found for found in lengths if len(found) > 1]
    return bool(rows) and all(len(set(found)) == 1 and found[0] > 2 for found in rows)


def _int_fact(seen: _Seen, counts: bool) -> Fact:
    lists = [[int(token) for token in tokens] for tokens in seen.lists]
    low = min(min(values) for values in lists if values)
    high = max(max(values) for values in lists if values)
    return Fact(
        TokenKind.INT,
        low,
        high,
        counts=counts,
        bounds=_bounds(seen.contexts, lists, low),
        order=_order(lists),
        distinct=_all_distinct(lists),
        permutation=all(sorted(values) == list(range(low, low + len(values))) for values in lists)
        and any(len(values) > 1 for values in lists)
        and low in (0, 1),
    )


def _bounds(contexts: list[dict[int, int]], lists: list[list[int]], low: int) -> tuple[Count, ...]:
    """Return the earlier fields that no value exceeds, the closest first."""
    found: list[tuple[float, Count]] = []
    pairs = [(context, max(values)) for context, values in zip(contexts, lists, strict=True) if values]
    if low < 0 or sum(map(len, lists)) < 3:
        return ()
    for number in sorted(set.intersection(*(set(context) for context, _ in pairs))):
        shares = [most / max(context[number], 1) for context, most in pairs]
        spare = min(context[number] - most for context, most in pairs)
        if spare >= 0 and max(shares) >= 0.5:
            # Numbered from 0, n things end at n - 1. Numbered from 1, they may too, if none was n.
            offsets = [-1] if low == 0 and spare else [0, -1] if spare else [0]
            closeness = sum(most / max(context[number] + offsets[0], 1) for context, most in pairs)
            found.extend((-closeness, Count(number, plus)) for plus in offsets)
    return tuple(count for _, count in sorted(found, key=lambda item: item[0]))


def _shared_bounds(table: Mapping[int, Fact]) -> dict[int, Fact]:
    """Give the columns of a table the same bound if possible: both ends of an edge are nodes."""
    bounded = {number: fact for number, fact in table.items() if fact.bounds}
    for count in [count for fact in sorted(bounded.values(), key=lambda fact: fact.low) for count in fact.bounds]:
        sharing = {number: fact for number, fact in bounded.items() if count in fact.bounds}
        if len(sharing) > 1:
            return {number: replace(fact, bounds=_with_first(count, fact.bounds)) for number, fact in sharing.items()}
    return {}


def _with_first(first: Count, bounds: Sequence[Count]) -> tuple[Count, ...]:
    return first, *(count for count in bounds if count.field != first.field)


def _order(lists: list[list[int]]) -> ListOrder:
    steps = [after - before for values in lists for before, after in pairwise(values)]
    if len(steps) < 2 or min(steps) < 0:
        return ListOrder.NONE
    return ListOrder.STRICTLY_UP if min(steps) > 0 else ListOrder.UP


def _all_distinct(lists: Sequence[Sequence[object]]) -> bool:
    return all(len(set(values)) == len(values) for values in lists) and any(len(values) > 2 for values in lists)
