"""Lists of words: new lists from known words, and from a word that programs name. Pure.

A word that programs name stands in some words of a list: alone, inside another word, twice. These are any number, and
often the number at which a fraction in the programs is met or just missed. Other words are known ones: as they are,
joined, doubled, cut. A list may also have a word split in two, or two joined.
"""

import random
from collections.abc import Iterator, Sequence

from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge, distinct_rule
from balancer.pipeline.generators.learn.named import before, is_composed
from balancer.pipeline.generators.learn.rules import RuleKind, list_fields
from balancer.pipeline.generators.learn.template import Choice, Count, Instance, LineNode, Node, Repeat, Slot
from balancer.pipeline.generators.write.changes import Change, is_word

__all__ = ["has_word_lists", "word_changes"]

_MOST = 1000  # words of a list
_SURE = 0.5  # belief from which a rule is kept
_LISTS = 200  # of an input that are made anew
_CUTS = 50  # places of a word that are tried: a word may have many letters
_FREE = 30  # words of a list whose greatest length is not known
_PERCENT = 100  # numbers of programs up to this may be parts of a fraction, or lengths of lists


def has_word_lists(found: Knowledge) -> bool:
    """Return whether inputs have lists of any words."""
    return bool(_fields(found)) and any(tokens for _, _, tokens in _lists(found))


def word_changes(found: Knowledge, constants: Sequence[int | str], rng: random.Random) -> Iterator[Change]:
    """Yield new lists of words with their descriptions, without end; nothing if the inputs have none."""
    known = [(instance, slot) for instance, slot, tokens in _lists(found) if tokens]
    numbers = [each for each in constants if isinstance(each, int) and each <= _PERCENT]
    names = [each for each in constants if isinstance(each, str)]
    while known:
        instance, slot = rng.choice(known)
        slots = [slot]
        if rng.random() < 0.5:  # all lists of the kind
            slots = [other for other in instance if other[0] == slot[0] and instance[other]]
            slots = slots if len(slots) <= _LISTS else rng.sample(slots, _LISTS)
        given, detail = dict(instance), ""
        for each in slots:
            its_list = _WordList(found, instance, each, rng)
            detail, words = its_list.recut() if rng.random() < 0.25 else its_list.drawn(names, numbers)
            given |= _sized(found, given, each, words)
        yield f"words {found.names[slot[0]]}: {detail}", given


def _fields(found: Knowledge) -> list[int]:
    named = {number for rule in found.beliefs if rule.kind is RuleKind.NAMED for number in rule.fields}
    facts = found.facts.fields
    return [
        number
        for number in list_fields(found.nodes)
        if facts[number].kind is TokenKind.WORD
        and not (facts[number].words or facts[number].once or facts[number].length or number in named)
    ]


def _lists(found: Knowledge) -> Iterator[tuple[Instance, Slot, Sequence[str]]]:
    fields = set(_fields(found))
    for instance in found.instances:
        yield from ((instance, slot, tokens) for slot, tokens in instance.items() if slot[0] in fields)


def _sized(found: Knowledge, given: Instance, slot: Slot, words: list[str]) -> dict[Slot, list[str]]:
    """Return a list, and its number where an earlier field tells it; as many words as before if that cannot change."""
    number, where = slot
    counts = dict(_counts(found.nodes))
    count = counts.get(number)
    if count is None or len(words) == len(given[slot]):
        return {slot: words}
    told = len(words) - count.plus
    fits = count.field is not None and count.times == 1
    if not fits or not found.ranges[count.field or 0].low <= told <= max(found.ranges[count.field or 0].highs):
        return {slot: [*words, *given[slot]][: len(given[slot])]}
    at = next(where[:depth] for depth in range(len(where), -1, -1) if (count.field, where[:depth]) in given)
    return {slot: words, (count.field or 0, at): [str(told)]}


def _counts(nodes: Sequence[Node]) -> Iterator[tuple[int, Count | None]]:
    """Yield lists and columns with what counts them."""
    for node in nodes:
        if isinstance(node, LineNode) and node.tail is not None:
            yield node.tail, node.count
        elif isinstance(node, Repeat) and isinstance(node.table, LineNode):
            yield from ((number, node.count) for number in node.table.fields)
        elif isinstance(node, Repeat) and not isinstance(node.table, Choice):
            yield from _counts(node.body)


class _WordList:
    """Makes new words for one list of an input."""

    def __init__(self, found: Knowledge, instance: Instance, slot: Slot, rng: random.Random) -> None:
        self._found = found
        self._range = found.ranges[slot[0]]
        self._rng = rng
        self._number = slot[0]
        self._tokens = instance[slot]
        self._distinct = found.beliefs.get(distinct_rule(slot[0]), 0.0) >= _SURE
        self._pieces = next(
            (
                frozenset(before(rule.fields[0], slot[1], instance))
                for rule, share in found.beliefs.items()
                if rule.kind is RuleKind.COMPOSED and rule.fields[1] == slot[0] and share >= _SURE
            ),
            frozenset[str](),
        )
        known = sorted({*self._tokens, *found.facts.fields[slot[0]].seen, *self._pieces})
        self._known = [word for word in known if self._is_word(word)] or list(self._tokens)

    def recut(self) -> tuple[str, list[str]]:
        """Return the list with one word split in two, or two joined."""
        words, rng = list(self._tokens), self._rng
        at = rng.randrange(len(words))
        if at and rng.random() < 0.5:
            joined = words[at - 1] + words[at]
            return "two joined", [*words[: at - 1], joined, *words[at + 1 :]] if self._is_word(joined) else words
        places: Sequence[int] = range(1, len(words[at]))
        if len(places) > _CUTS:
            places = rng.sample(places, _CUTS)
        cuts = [(words[at][:cut], words[at][cut:]) for cut in places]
        fitting = [pair for pair in cuts if all(map(self._is_word, pair))]
        return "one split", [*words[:at], *rng.choice(fitting), *words[at + 1 :]] if fitting else words

    def drawn(self, names: Sequence[str], numbers: Sequence[int]) -> tuple[str, list[str]]:
        """Return a new list; some words have one of `names` in them."""
        rng = self._rng
        count = self._count(numbers)
        fitting = [name for name in names if self._is_word(name)]
        name = rng.choice(fitting) if fitting else ""
        marked = self._share(count, numbers) if name else 0
        plain = [word for word in self._known if not (name and name in word)] or self._known
        words = [self._with(name) for _ in range(marked)] + [self._without(name, plain) for _ in range(count - marked)]
        rng.shuffle(words)
        if self._distinct:
            words = list(dict.fromkeys(words))
        limit = self._found.limits.get(self._number)
        if limit is not None and rng.random() < limit.by_letters:
            words = list(limit.within_line(words))
        return f"{count} with {marked} of {name}" if name else f"{count}", words

    def _count(self, numbers: Sequence[int]) -> int:
        limit = self._found.limits.get(self._number)
        most = min(max(limit.highs), _MOST) if limit else _FREE
        rng = self._rng
        near = rng.choice(numbers) + rng.choice((-1, 0, 1)) if numbers else most
        wanted = rng.choice(
            (1, len(self._tokens), rng.randint(2, 6), rng.randint(2, 12), near, rng.randint(1, most), most)
        )
        return max(min(wanted, most), 1)

    def _share(self, count: int, numbers: Sequence[int]) -> int:
        """Return how many words have the named one."""
        rng = self._rng
        parts = sorted({*numbers, _PERCENT})
        if len(parts) < 2 or rng.random() < 0.5:
            return rng.randint(0, count)
        part, whole = sorted(rng.sample(parts, 2))
        return max(min(count * part // whole + rng.choice((-1, 0, 0, 1)), count), 0)

    def _with(self, name: str) -> str:
        """Return a word that has the named one in it, or is it."""
        rng, word = self._rng, self._rng.choice(self._known)
        at = rng.randint(0, len(word))
        most = max(self._range.highs) // len(name)
        made = rng.choice(
            (name, name, word[:at] + name + word[at:], name * 2, name + word + name, name * min(most, 50))
        )
        return made if self._is_word(made) else name

    def _without(self, name: str, plain: Sequence[str]) -> str:
        """Return a word made of `plain` ones, changed or not, that does not have the named one in it."""
        rng = self._rng
        word, other = rng.choice(plain), rng.choice(plain)
        parts = (word, word, word + other, word * 2, word[: rng.randint(1, len(word))], name[::-1] or word, word[-1:])
        made = rng.choice(parts)
        return made if self._is_word(made) and not (name and name in made) else word

    def _is_word(self, word: str) -> bool:
        if self._pieces and not is_composed(word, self._pieces):
            return False
        return set(word) <= set(self._range.letters) and is_word(self._range, word)
