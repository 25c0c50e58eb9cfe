"""Changes of a known input: a number, the order of a list, a word, a size.

Each change gives new tokens for some slots; `build` keeps the counts right.

Inputs without a template are changed as text: by token, line or byte. That works for any bytes, and for an empty input.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from balancer.pipeline.generators.draw.values import DrawLimits, Where, draw_number
from balancer.pipeline.generators.learn.bounds import Range
from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot

__all__ = ["Change", "changes", "set_constants", "text_changes"]

# The description, and an instance to build from.
Change = tuple[str, Mapping[Slot, Sequence[str]]]

_EDITS = 8  # words next to a constant
_SHOWN = 12  # characters of a token in a description
_LENGTHS = (1, 2, 3, 10, 30, 100)
_TOKENS = re.compile(rb"(\s+)")
_NUMBER = re.compile(rb"-?[0-9]{1,18}")
_NUMBERS = (0, 1, -1, 2, 10, 100, 10**5, 10**6, 10**9, 2**31 - 1, 2**31, 10**18)

_Change = tuple[str, bytes]


def changes(knowledge: Knowledge, rng: random.Random) -> Iterator[Change]:
    """Yield changes of known inputs, without end: each kind in turn, on a random input and place."""
    if not knowledge.instances:
        return
    tried = 0
    while tried < len(_KINDS):  # if no kind finds a place, there is nothing to change
        for kind in _KINDS:
            found = kind(knowledge, rng.choice(knowledge.instances), rng)
            tried = tried + 1 if found is None else 0
            if found is not None:
                yield found


def _resize(knowledge: Knowledge, instance: Instance, rng: random.Random) -> Change | None:
    """Make a list, a table or a graph shorter or longer."""
    slot = _pick(instance, rng, lambda slot, tokens: slot[0] in knowledge.sizes and len(tokens) == 1)
    if slot is None or not instance[slot][0].isdigit():
        return None
    now = int(instance[slot][0])
    found = knowledge.ranges[slot[0]]
    wanted = rng.choice((1, now - 1, now + 1, 2 * now, 2 * now + 1, 3 * now))
    least = max((load.least for load in knowledge.loads.get(slot[0], ())), default=0)
    return _give(knowledge, instance, slot, [str(max(min(wanted, max(found.highs)), found.low, least))])


def _set_number(knowledge: Knowledge, instance: Instance, rng: random.Random) -> Change | None:
    """Set a single number, or one element of a list, to a value at which programs often fail."""
    slot = _pick(
        instance, rng, lambda slot, tokens: slot[0] not in knowledge.sizes and _is_number(knowledge, slot, tokens)
    )
    if slot is None:
        return None
    tokens = list(instance[slot])
    tokens[rng.randrange(len(tokens))] = str(_telling_number(knowledge, slot, rng))
    return _give(knowledge, instance, slot, tokens)


def set_constants(knowledge: Knowledge, constants: Sequence[int | str], rng: random.Random) -> Iterator[Change]:
    """Yield changes that set a number or a word to a constant of a program, or next to it; each constant once.

    Next to a word are those that one edit makes of it, twice the word, and a known one with it inside.
    """
    for constant in constants:
        for place, value in enumerate(_near(constant)):
            for number, found in sorted(knowledge.ranges.items()):
                known = [
                    (instance, slot)
                    for instance in knowledge.instances
                    for slot, tokens in instance.items()
                    if slot[0] == number and _suits(knowledge, slot, tokens, value)
                ]
                if not known:
                    continue
                instance, slot = rng.choice(known)
                tokens = list(instance[slot])
                at = rng.randrange(len(tokens))
                new = value
                if place and isinstance(value, str):
                    new = _next_to(value, tokens[at], found.letters or value, rng)
                if _in_range(knowledge, number, new):
                    tokens[at] = str(new)
                    detail, given = _give(knowledge, instance, slot, tokens)
                    yield f"constant {detail}", given


def _near(constant: int | str) -> Sequence[int | str]:
    return (constant, constant + 1, constant - 1) if isinstance(constant, int) else [constant] * (1 + _EDITS)


def _next_to(word: str, known: str, letters: str, rng: random.Random) -> str:
    cut = rng.randrange(len(known) + 1)
    edited = _edited(word, letters, rng)
    return rng.choice((edited, edited, 2 * word, known[:cut] + word + known[cut:]))


def _suits(knowledge: Knowledge, slot: Slot, tokens: Sequence[str], value: int | str) -> bool:
    if isinstance(value, int):
        return _is_number(knowledge, slot, tokens)
    return bool(tokens) and _is_free_word(knowledge, slot)


def _in_range(knowledge: Knowledge, number: int, value: int | str) -> bool:
    found = knowledge.ranges[number]
    if isinstance(value, str):
        return set(value) <= set(found.letters) and _is_word(found, value)
    return found.low <= value <= max(found.highs)


def _telling_number(knowledge: Knowledge, slot: Slot, rng: random.Random) -> int:
    fact, found = knowledge.facts.fields[slot[0]], knowledge.ranges[slot[0]]
    limits = DrawLimits(found.low, _high(found, rng), fact.low, fact.high)
    near = [value for value in (fact.low - 1, fact.high + 1, 0, 1) if limits.low <= value <= limits.high]
    if near and rng.random() < 0.2:
        return rng.choice(near)
    return draw_number(limits, rng.choice((Where.LOW, Where.HIGH, Where.EDGE, Where.FULL)), rng)


def _high(found: Range, rng: random.Random) -> int:
    return found.highs[0] if rng.random() < 0.5 else rng.choice(found.highs)


def _equalize(knowledge: Knowledge, instance: Instance, rng: random.Random) -> Change | None:
    return _rearranged(knowledge, instance, rng, "all equal", lambda tokens: [rng.choice(tokens)] * len(tokens))


def _repeat_one(knowledge: Knowledge, instance: Instance, rng: random.Random) -> Change | None:
    def copied(tokens: list[str]) -> list[str]:
        tokens[rng.randrange(len(tokens))] = rng.choice(tokens)
        return tokens

    return _rearranged(knowledge, instance, rng, "one element twice", copied)


def _reorder(knowledge: Knowledge, instance: Instance, rng: random.Random) -> Change | None:
    """Sort, reverse or shuffle a list, or swap two of its elements."""
    name, order = rng.choice(
        (
            ("sorted", lambda tokens: sorted(tokens, key=_sort_key)),
            ("sorted down", lambda tokens: sorted(tokens, key=_sort_key, reverse=True)),
            ("reversed", lambda tokens: tokens[::-1]),
            ("shuffled", lambda tokens: rng.sample(tokens, len(tokens))),
        )
    )
    return _rearranged(knowledge, instance, rng, name, order)


def _change_word(knowledge: Knowledge, instance: Instance, rng: random.Random) -> Change | None:
    """Change a word: its length, its letters, or one of them."""
    slot = _pick(instance, rng, lambda slot, tokens: bool(tokens) and _is_free_word(knowledge, slot))
    if slot is None:
        return None
    tokens = list(instance[slot])
    at = rng.randrange(len(tokens))
    tokens[at] = _changed_word(tokens[at], knowledge.ranges[slot[0]], rng)
    return _give(knowledge, instance, slot, tokens)


def _is_free_word(knowledge: Knowledge, slot: Slot) -> bool:
    fact = knowledge.facts.fields[slot[0]]
    return fact.kind is TokenKind.WORD and not fact.words


def _changed_word(word: str, found: Range, rng: random.Random) -> str:
    letters = found.letters or "a"
    edited = _edited(word, letters, rng)
    if _is_word(found, edited) and rng.random() < 0.5:
        return edited
    length = max(found.low, min(rng.choice((*_LENGTHS, found.highs[0])), max(found.highs)))
    options = [
        rng.choice(letters) * length,
        "".join(rng.choices(letters, k=min(length, 1000))),
        (word + word[::-1])[: max(found.highs)],
    ]
    if set(word.swapcase()) <= set(letters):
        options.append(word.swapcase())
    return rng.choice(options)


def _is_word(found: Range, word: str) -> bool:
    """Return whether a word has a length that its field allows."""
    return found.low <= len(word) <= max(found.highs)


def _edited(word: str, letters: str, rng: random.Random) -> str:
    """Return a word with one letter more, less or another, or with two that change places."""
    at = rng.randrange(len(word) + 1)
    rest = word[at:]
    new = rng.choice((rng.choice(letters), rng.choice(word or letters)))
    return word[:at] + rng.choice((new + rest, rest[1:], new + rest[1:], rest[1:2] + rest[:1] + rest[2:]))


_KINDS: tuple[Callable[[Knowledge, Instance, random.Random], Change | None], ...] = (
    _resize,
    _set_number,
    _equalize,
    _set_number,
    _reorder,
    _change_word,
    _repeat_one,
    _set_number,
    _change_word,
)


def _pick(instance: Instance, rng: random.Random, suits: Callable[[Slot, Sequence[str]], bool]) -> Slot | None:
    found = [slot for slot, tokens in instance.items() if suits(slot, tokens)]
    return rng.choice(found) if found else None


def _is_number(knowledge: Knowledge, slot: Slot, tokens: Sequence[str]) -> bool:
    return bool(tokens) and knowledge.facts.fields[slot[0]].kind is TokenKind.INT


def _sort_key(token: str) -> tuple[int, int, str]:
    digits = token.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 1000
    return (0, int(token), token) if is_number else (1, 0, token)


def _rearranged(
    knowledge: Knowledge, instance: Instance, rng: random.Random, name: str, arrange: Callable[[list[str]], list[str]]
) -> Change | None:
    slot = _pick(instance, rng, lambda slot, tokens: len(tokens) > 1)
    if slot is None:
        return None
    given = {**instance, slot: arrange(list(instance[slot]))}
    return f"list {knowledge.names[slot[0]]} {name}", given


def _give(knowledge: Knowledge, instance: Instance, slot: Slot, tokens: list[str]) -> Change:
    """Return the change to `tokens`, described by the first token that differs."""
    name = knowledge.names[slot[0]]
    for index, (old, new) in enumerate(zip(instance[slot], tokens, strict=True)):
        if old != new:
            place = f"{name}[{index + 1}]" if len(tokens) > 1 else name
            return f"{place}: {_cut(old)} -> {_cut(new)}", {**instance, slot: tokens}
    return f"{name} as it was", instance


def _cut(token: str) -> str:
    return token if len(token) <= _SHOWN else f"{token[:_SHOWN]}... ({len(token)} characters)"


def text_changes(inputs: Sequence[bytes], rng: random.Random) -> Iterator[_Change]:
    """Yield changes of `inputs` with their descriptions, without end unless there is no input."""
    while inputs:
        for kind in _TEXT_KINDS:
            yield kind(rng.choice(inputs), rng)


def _change_number(data: bytes, rng: random.Random) -> _Change:
    parts = _TOKENS.split(data)
    places = [index for index, part in enumerate(parts) if _NUMBER.fullmatch(part)]
    if not places:
        return _change_token(data, rng)
    at = rng.choice(places)
    old = int(parts[at])
    new = rng.choice((old - 1, old + 1, 2 * old, -old, *_NUMBERS))
    parts[at] = str(new).encode()
    return f"token {at // 2 + 1}: {old} -> {new}", b"".join(parts)


def _change_token(data: bytes, rng: random.Random) -> _Change:
    parts = _TOKENS.split(data)
    places = [index for index, part in enumerate(parts) if part and not part.isspace()]
    if not places:
        return "a byte more", data + bytes([rng.randrange(33, 127)])
    at, source = rng.choice(places), rng.choice(places)
    parts[at] = rng.choice((parts[source], parts[at] * 2, parts[at][:1], parts[at][::-1], parts[at].swapcase()))
    return f"token {at // 2 + 1} changed", b"".join(parts)


def _copy_line(data: bytes, rng: random.Random) -> _Change:
    lines = data.splitlines(keepends=True)
    if not lines:
        return "a line", b"%d\n" % rng.choice(_NUMBERS)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one] = lines[other]
    return f"line {one + 1} like line {other + 1}", b"".join(lines)


_TEXT_KINDS: tuple[Callable[[bytes, random.Random], _Change], ...] = (
    _change_number,
    _change_token,
    _change_number,
    _copy_line,
)
