"""What is known of each field beyond the shape of inputs: its kind, range, order, and which field bounds it.

Decides what there is to know of a field; `observe` gathers it. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from balancer.pipeline.generators.learn.template import Choice, Count, Instance, Node, Repeat

__all__ = ["Fact", "Facts", "ListOrder", "Relation", "Tie", "TokenKind", "find_relations", "tables_of", "with_words"]

_MOST_DIGITS = 300  # int() has a limit, and longer tokens are no numbers to programs either


class Tie(Enum):
    """How two fields of one line are related, in every line seen."""

    LESS = "less"
    AT_MOST = "at most"
    DIFFER = "differ"


@dataclass(frozen=True, slots=True)
class Relation:
    """`left` `tie` `right`, seen in `lines` lines."""

    left: int
    right: int
    tie: Tie
    lines: int


def tables_of(nodes: Sequence[Node]) -> Iterator[tuple[int, ...]]:
    """Yield the fields that stand together on one line, single or repeated."""
    for node in nodes:
        if isinstance(node, Repeat):
            yield from tables_of(node.body)
        elif isinstance(node, Choice):
            yield from (fields for _, fields in node.lines)
        else:
            yield node.fields


def find_relations(fields: Sequence[int], instances: Sequence[Instance]) -> Iterator[Relation]:
    """Yield what holds in every line between two of its fields that are whole numbers."""
    for index, left in enumerate(fields):
        for right in fields[index + 1 :]:
            steps = _steps(left, right, instances)
            if steps and min(steps) >= 0:
                yield Relation(left, right, Tie.LESS if min(steps) > 0 else Tie.AT_MOST, len(steps))
            elif steps and max(steps) <= 0:
                yield Relation(right, left, Tie.LESS if max(steps) < 0 else Tie.AT_MOST, len(steps))
            elif steps and 0 not in steps:
                yield Relation(left, right, Tie.DIFFER, len(steps))


def _steps(left: int, right: int, instances: Sequence[Instance]) -> list[int]:
    """Return right - left for every line; nothing if they are not whole numbers everywhere."""
    steps: list[int] = []
    for instance in instances:
        for (number, where), tokens in instance.items():
            if number == left:
                for one, other in zip(tokens, instance.get((right, where), ()), strict=False):
                    if not (_is_whole(one) and _is_whole(other)):
                        return []
                    steps.append(int(other) - int(one))
    return steps


def _is_whole(token: str) -> bool:
    digits = token.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS


class TokenKind(Enum):
    """What the tokens of a field are."""

    INT = "int"
    FLOAT = "float"
    WORD = "word"


class ListOrder(Enum):
    """How the values of a list follow each other."""

    NONE = "none"
    UP = "up"  # each at least as large as the one before
    STRICTLY_UP = "strictly up"


@dataclass(frozen=True, slots=True)
class Fact:
    """What has been seen of one field.

    Args:
        low, high: least and greatest value of a number; of a word: length.
        decimals: most digits after the point.
        letters: every character of words, sorted.
        closed: the letters are an alphabet of their own; others would be odd.
        words: the words themselves, if they look like keywords.
        seen: all words that were seen, if there are few.
        once: letters that every list of words had exactly once: the start of a maze, say.
        counts: it tells how many of something there are.
        limits: other fields are bounded by it.
        bounds: earlier fields that no value exceeds and that some come close to, the closest first.
        order, distinct, permutation: of the values of a list.
        length: what tells the length of a word.
        boolean: only zeros and ones were seen, several times each.
    """

    kind: TokenKind
    low: int
    high: int
    decimals: int = 0
    letters: str = ""
    closed: bool = False
    words: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    once: str = ""
    counts: bool = False
    limits: bool = False
    bounds: tuple[Count, ...] = ()
    order: ListOrder = ListOrder.NONE
    distinct: bool = False
    permutation: bool = False
    length: Count | None = None
    boolean: bool = False

    @property
    def bound(self) -> Count | None:
        """The earlier field that the values come closest to."""
        return self.bounds[0] if self.bounds else None


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of all fields, and relations between fields of one line."""

    fields: Mapping[int, Fact]
    relations: tuple[Relation, ...] = ()


def with_words(facts: Facts, vocabularies: Sequence[tuple[str, ...]]) -> Facts:
    """Give a field all words of a list that has the ones seen in it: "add" and "undo" where only "add" was seen."""
    fields = dict(facts.fields)
    for number, fact in fields.items():
        listed = next((words for words in vocabularies if fact.seen and set(fact.seen) <= set(words)), None)
        if listed is not None and fact.kind is TokenKind.WORD and set(fact.words) <= set(fact.seen):
            fields[number] = replace(fact, words=tuple(sorted(set(listed))))
    return replace(facts, fields=fields)
