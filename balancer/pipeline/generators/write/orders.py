"""What the order of commands keeps to: no more "pop" than "push" before it, "remove x" only after "add x".

Decides which such rules all known lists of commands keep, and draws lists that keep them. They may be chance, so each
list that is drawn breaks one in a while, and inputs that turn out to be valid are looked at like any other. Pure.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Needs", "Row", "drawn_rows", "needs_of"]

Row = tuple[str, ...]  # a command and its arguments

_KEPT = 0.9  # of the rules, in one list
_LEAST_SEEN = 2  # commands of a kind, before a rule is found in them


@dataclass(frozen=True, slots=True)
class Needs:
    """That a command needs another one before it.

    Args:
        command, other: their words.
        uses_up: each `other` is good for one `command`; else for any number.
        same: the first argument must be the same.
    """

    command: str
    other: str
    uses_up: bool
    same: bool


def needs_of(lists: Sequence[Sequence[Row]]) -> list[Needs]:
    """Return the rules that all lists keep, the narrowest of each pair of commands."""
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
    """Draw a list of commands that keeps the rules, all but few of them; a shorter one if nothing may come next.

    Args:
        needs: the rules.
        arguments: draws the arguments of a command.
        words: the commands.
        count: how many.
        rng: for everything else.
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
    """Yield all words, the heavy ones early more often."""
    left = dict(weights)
    while left:
        (word,) = rng.choices(list(left), list(left.values()))
        del left[word]
        yield word


def _allowed(word: str, arguments: Row, state: "_CommandState", rng: random.Random) -> Row | None:
    """Return a command that may come next, with another first argument if it must be; None if it may not come."""
    choices = state.first_arguments(word)
    if choices is not None and arguments:
        if not choices:
            return None
        arguments = (rng.choice(choices), *arguments[1:])
    row = (word, *arguments)
    return row if state.allows(row) else None


class _CommandState:
    """How many of what every rule needs is there."""

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
