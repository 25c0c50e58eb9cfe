"""Command lists: new lists of commands, where a command may depend on earlier ones. Pure.

Lists are made in two ways: from parts of known lists that together have what they need, and drawn by the rules of order
that all known lists keep.

Rules of order: no more "pop" than "push" before it, or "remove x" only after "add x". They may be chance, so a drawn
list sometimes breaks one. Lists that turn out to be valid count as known ones.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Choice, Instance, LineNode, Node, Repeat, Slot
from balancer.pipeline.generators.write.changes import Change

__all__ = ["Needs", "Row", "command_changes", "drawn_rows", "has_commands", "needs_of"]

Row = tuple[str, ...]  # a command and its arguments

_KEPT = 0.9  # share of the rules that a list keeps
_LEAST_SEEN = 2  # commands of a kind needed to find a rule
_COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 30, 100)
_TIMES = (2, 2, 3, 10, 50)
_MOST_WORDS = 8  # most words that are commands
_MOST_NUMBERS, _OFTEN = 4, 3  # at most so many numbers, each at least so often, are commands: 1 x, 2 x
_MOST_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Needs:
    """A rule that a command needs another one before it.

    Args:
        command, other: their words.
        uses_up: each `other` allows one `command`; else any number.
        same: whether the first argument must be the same.
    """

    command: str
    other: str
    uses_up: bool
    same: bool


def needs_of(lists: Sequence[Sequence[Row]]) -> list[Needs]:
    """Return the rules that all lists keep, the strictest for each pair of commands."""
    counted = Counter(row[0] for rows in lists for row in rows)
    found: list[Needs] = []
    for command in sorted(counted):
        for other in sorted(counted):
            if command == other or counted[command] < _LEAST_SEEN:
                continue
            for uses_up, same in ((True, True), (False, True), (True, False), (False, False)):
                rule = Needs(command, other, uses_up, same)
                if all(_kept(rule, rows) for rows in lists):
                    found.append(rule)
                    break
    return found


def drawn_rows(
    needs: Sequence[Needs],
    arguments: Callable[[str], Row],
    words: Sequence[str],
    count: int,
    rng: random.Random,
) -> list[Row]:
    """Draw a list of commands that keeps nearly all rules; a shorter one if no command may come next.

    Args:
        needs: the rules.
        arguments: draws the arguments of a command.
        words: the commands.
        count: length of the list.
        rng: for all other choices.
    """
    kept = [rule for rule in needs if rng.random() < _KEPT]
    weights = {word: rng.choice((1.0, 1.0, 1.0, 3.0, 10.0)) for word in words}
    state = _CommandState(kept)
    made: list[Row] = []
    for _ in range(count):
        for word in _by_chance(weights, rng):
            row = _allowed(word, arguments(word), state, rng)
            if row is not None:
                state.add(row)
                made.append(row)
                break
        else:
            break
    return made


def _by_chance(weights: dict[str, float], rng: random.Random) -> Iterator[str]:
    """Yield all words in random order; those with a large weight are more often early."""
    left = dict(weights)
    while left:
        (word,) = rng.choices(list(left), list(left.values()))
        del left[word]
        yield word


def _allowed(word: str, arguments: Row, state: "_CommandState", rng: random.Random) -> Row | None:
    """Return a command that may come next, with another first argument if needed; None if it may not come."""
    choices = state.first_arguments(word)
    if choices is not None and arguments:
        if not choices:
            return None
        arguments = (rng.choice(choices), *arguments[1:])
    row = (word, *arguments)
    return row if state.allows(row) else None


class _CommandState:
    """Counts of what every rule needs."""

    def __init__(self, rules: Sequence[Needs]) -> None:
        self._there: dict[Needs, Counter[str]] = {rule: Counter() for rule in rules}
        self._of: dict[str, list[Needs]] = defaultdict(list)
        for rule in rules:
            self._of[rule.command].append(rule)

    def allows(self, row: Row) -> bool:
        return all(self._there[rule][_key(rule, row)] > 0 for rule in self._of.get(row[0], ()))

    def first_arguments(self, word: str) -> list[str] | None:
        """Return the first arguments with which a command may come; None if any will do."""
        rules = [rule for rule in self._of.get(word, ()) if rule.same]
        if not rules:
            return None
        there = [{key for key, count in self._there[rule].items() if count > 0} for rule in rules]
        return sorted(set.intersection(*there))

    def add(self, row: Row) -> None:
        for rule, there in self._there.items():
            if row[0] == rule.other:
                there[_key(rule, row)] += 1
            elif row[0] == rule.command and rule.uses_up:
                there[_key(rule, row)] -= 1


def _key(rule: Needs, row: Row) -> str:
    return row[1] if rule.same and len(row) > 1 else ""


def _kept(rule: Needs, rows: Sequence[Row]) -> bool:
    if rule.same and any(len(row) < 2 for row in rows if row[0] in (rule.command, rule.other)):
        return False
    state = _CommandState([rule])
    for row in rows:
        if not state.allows(row):
            return False
        state.add(row)
    return True


@dataclass(frozen=True, slots=True)
class _Table:
    """The lines that are commands: the field of the command, and the fields of each one's arguments."""

    repeat: Repeat
    key: int
    arguments: dict[str, tuple[int, ...]]
    choice: bool

    def rows(self, instance: Instance, place: tuple[int, ...]) -> list[Row]:
        words = instance.get((self.key, place), ())
        if not self.choice:
            fields = next(iter(self.arguments.values()), ())
            columns = [instance[number, place] for number in fields]
            return list(zip(words, *columns, strict=True))
        iterators = {
            word: zip(*(instance.get((number, place), ()) for number in fields), strict=True)
            for word, fields in self.arguments.items()
        }
        return [(word, *next(iterators[word], ())) for word in words]

    def slots(self, rows: Sequence[Row], place: tuple[int, ...]) -> dict[Slot, Sequence[str]]:
        given: dict[Slot, Sequence[str]] = {(self.key, place): [row[0] for row in rows]}
        for word, fields in self.arguments.items():
            own = [row for row in rows if row[0] == word or not self.choice]
            given |= {(number, place): [row[at] for row in own] for at, number in enumerate(fields, 1)}
        return given


def command_changes(found: Knowledge, rng: random.Random) -> Iterator[Change]:
    """Yield lists of commands with their descriptions, without end; nothing if the inputs have none."""
    tables = _filled(found)
    while tables:
        table = rng.choice(tables)
        lists = _lists(table, found.instances)
        instance = rng.choice([each for each in found.instances if _places(table, each)])
        place = rng.choice(_places(table, instance))
        if rng.random() < 0.5:
            name, rows = "drawn by their order", _by_rules(found, table, lists, rng)
        else:
            name, change = rng.choice(_CHANGES)
            rows = change(rng.choice(lists), rng.choice(lists), rng)
        given = {**instance, **table.slots(rows[:_MOST_ROWS], place)}
        count = table.repeat.count
        if count is not None and count.field is not None:
            where = next(place[:depth] for depth in range(len(place), -1, -1) if (count.field, place[:depth]) in given)
            given[count.field, where] = [str(len(rows[:_MOST_ROWS]) - count.plus)]
        if rows:
            yield f"commands {name}", given


def has_commands(found: Knowledge) -> bool:
    """Return whether inputs have lists of commands."""
    return bool(_filled(found))


def _filled(found: Knowledge) -> list[_Table]:
    return [table for table in _tables(found, found.nodes) if _lists(table, found.instances)]


def _by_rules(found: Knowledge, table: _Table, lists: Sequence[Sequence[Row]], rng: random.Random) -> list[Row]:
    words = sorted({row[0] for rows in lists for row in rows})
    known = {word: [row[1:] for rows in lists for row in rows if row[0] == word] for word in words}
    width = rng.choice((1, 2, 3, 10, 10**9))

    def arguments(word: str) -> Row:
        seen = list(rng.choice(known[word]))
        for at, number in enumerate(table.arguments.get(word, ())):
            fact, limits = found.facts.fields[number], found.ranges[number]
            if fact.kind is TokenKind.INT and rng.random() < 0.7:
                seen[at] = str(rng.randint(limits.low, max(min(limits.low + width - 1, limits.highs[0]), limits.low)))
        return tuple(seen)

    return drawn_rows(needs_of(lists), arguments, words, rng.choice(_COUNTS), rng)


def _tables(found: Knowledge, nodes: Sequence[Node]) -> Iterator[_Table]:
    for node in nodes:
        if not isinstance(node, Repeat):
            continue
        table = node.table
        if isinstance(table, Choice):
            yield _Table(node, table.key, dict(table.lines), choice=True)
        elif isinstance(table, LineNode) and len(table.fields) > 1:
            words = _numbered(found, table.fields[0])
            if words:
                yield _Table(node, table.fields[0], dict.fromkeys(words, table.fields[1:]), choice=False)
        elif table is None:
            yield from _tables(found, node.body)


def _numbered(found: Knowledge, number: int) -> list[str]:
    """Return the commands, if the first column looks like commands: few words, or numbers from 1 on, each frequent."""
    counted = Counter(token for each in found.instances for slot in each if slot[0] == number for token in each[slot])
    words = sorted(counted)
    fact = found.facts.fields[number]
    if fact.kind is TokenKind.INT:
        in_turn = (
            words in ([str(low + at) for at in range(len(words))] for low in (0, 1)) and len(words) <= _MOST_NUMBERS
        )
        ends = any(number in (edges.left, edges.right) for edges in found.edges)
        if not in_turn or ends or fact.bounds or min(counted.values()) < _OFTEN:
            return []
    return words if 2 <= len(words) <= _MOST_WORDS and counted.total() >= 2 * len(words) else []


def _places(table: _Table, instance: Instance) -> list[tuple[int, ...]]:
    return [where for number, where in instance if number == table.key and instance[number, where]]


def _lists(table: _Table, instances: Sequence[Instance]) -> list[list[Row]]:
    return [table.rows(each, place) for each in instances for place in _places(table, each)]


# -- parts of known lists, put together ----------------------------------------------------------------


def _within(one: list[Row], other: list[Row], rng: random.Random) -> list[Row]:
    at = rng.randint(0, len(one))
    return [*one[:at], *other, *one[at:]]


def _meshed(one: list[Row], other: list[Row], rng: random.Random) -> list[Row]:
    turns = rng.sample([True] * len(one) + [False] * len(other), len(one) + len(other))
    first, second = iter(one), iter(other)
    return [next(first) if turn else next(second) for turn in turns]


_CHANGES: tuple[tuple[str, Callable[[list[Row], list[Row], random.Random], list[Row]]], ...] = (
    ("up to some point", lambda one, other, rng: one[: rng.randint(1, len(one))]),
    ("of two, one after the other", lambda one, other, rng: [*one, *other]),
    ("of the beginning of one, and another", lambda one, other, rng: [*one[: rng.randint(1, len(one))], *other]),
    ("again and again", lambda one, other, rng: one * rng.choice(_TIMES)),
    ("of one within another", _within),
    ("of two in turn", _meshed),
    ("each several times", lambda one, other, rng: [row for row in one for _ in range(rng.choice(_TIMES))]),
)
