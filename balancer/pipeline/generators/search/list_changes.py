"""Changes of a list that keep its sum, its product or its values: relations that many inputs have.

Decides nothing about an input: it takes any list of numbers that is there, and whoever asks finds out what is valid.
Pure.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot

__all__ = ["list_changes"]

_Tokens = list[str]
_LONGEST = 100_000
_FACTORS = (2, 3, 5, 7)


def list_changes(
    found: Knowledge, instance: Instance, rng: random.Random, only: str = ""
) -> Iterator[tuple[str, Mapping[Slot, Sequence[str]]]]:
    """Yield changes of a known input, without end unless it has no list: what was done, and all tokens.

    `only`: what is to be done.
    """
    changes = [each for each in _CHANGES if only in ("", each[0])]
    lists = [slot for slot, tokens in instance.items() if len(tokens) > 1 or (tokens and _is_counted(found, slot))]
    while lists:
        slot = rng.choice(lists)
        name, change = rng.choice(changes)
        changed = change(list(instance[slot]), rng)
        if changed and changed != instance[slot] and len(changed) <= _LONGEST:
            yield f"list {found.names[slot[0]]} {name}", _with(found, instance, slot, changed)
        else:
            yield "as it was", instance


def _is_counted(found: Knowledge, slot: Slot) -> bool:
    """Say whether some size counts the tokens: then a single one is a list, too."""
    return any(slot[0] in load.fields for number in found.sizes for load in found.loads.get(number, ()))


def _with(found: Knowledge, instance: Instance, slot: Slot, tokens: _Tokens) -> dict[Slot, Sequence[str]]:
    """Return the instance with other tokens at `slot`, and their number where it is told."""
    given: dict[Slot, Sequence[str]] = {**instance, slot: tokens}
    longer = len(tokens) - len(instance[slot])
    for number in found.sizes if longer else ():
        counts = any(slot[0] in load.fields and not load.letters_only for load in found.loads.get(number, ()))
        for depth in range(len(slot[1]), -1, -1):
            place = (number, slot[1][:depth])
            if counts and place in instance and instance[place][0].isdigit():
                given[place] = [str(int(instance[place][0]) + longer)]
                break
    return given


def _moved(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    """Take something from one element and give it to another."""
    if len(tokens) < 2:
        return None
    one, other = rng.sample(range(len(tokens)), 2)
    first, second = _number(tokens[one]), _number(tokens[other])
    if first is None or second is None:
        return None
    step = _step(tokens[one])
    amount = rng.choice((step, first - step, first / 2, step * rng.randint(1, max(int(abs(first) / step), 1))))
    amount = (amount / step).to_integral_value() * step
    tokens[one], tokens[other] = _written(first - amount, tokens[one]), _written(second + amount, tokens[other])
    return tokens


def _split(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    """Make two elements with the same sum of one."""
    at = rng.randrange(len(tokens))
    number, step = _number(tokens[at]), _step(tokens[at])
    if number is None or number < 2 * step:
        return None
    amount = rng.choice((step, (number / 2 / step).to_integral_value() * step))
    return [*tokens[:at], _written(amount, tokens[at]), _written(number - amount, tokens[at]), *tokens[at + 1 :]]


def _split_all(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    """Halve every element that can be halved."""
    made: _Tokens = []
    for token in tokens:
        number, step = _number(token), _step(token)
        if number is None or number < 2 * step:
            made.append(token)
        else:
            half = (number / 2 / step).to_integral_value() * step
            made += [_written(half, token), _written(number - half, token)]
    return made


def _merged(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    """Make one element with the same sum of two neighbours."""
    if len(tokens) < 2:
        return None
    at = rng.randrange(len(tokens) - 1)
    first, second = _number(tokens[at]), _number(tokens[at + 1])
    if first is None or second is None:
        return None
    return [*tokens[:at], _written(first + second, tokens[at]), *tokens[at + 2 :]]


def _factored(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    """Make two elements with the same product of one."""
    at = rng.randrange(len(tokens))
    number, factor = _number(tokens[at]), rng.choice(_FACTORS)
    if number is None or number != int(number) or int(number) % factor or int(number) == factor:
        return None
    return [*tokens[:at], str(factor), str(int(number) // factor), *tokens[at + 1 :]]


def _multiplied(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    """Make one element with the same product of two neighbours."""
    if len(tokens) < 2:
        return None
    at = rng.randrange(len(tokens) - 1)
    first, second = _number(tokens[at]), _number(tokens[at + 1])
    if first is None or second is None or "." in tokens[at]:
        return None
    return [*tokens[:at], str(int(first * second)), *tokens[at + 2 :]]


def _swapped(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    one, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    tokens[one], tokens[other] = tokens[other], tokens[one]
    return tokens


def _turned(tokens: _Tokens, rng: random.Random) -> _Tokens | None:
    """Reverse a part."""
    one, other = sorted((rng.randrange(len(tokens)), rng.randrange(len(tokens))))
    return [*tokens[:one], *tokens[one : other + 1][::-1], *tokens[other + 1 :]]


_CHANGES: tuple[tuple[str, Callable[[_Tokens, random.Random], _Tokens | None]], ...] = (
    ("with the same sum", _moved),
    ("with the same sum", _moved),
    ("one longer, the same sum", _split),
    ("longer, the same sum", _split_all),
    ("one shorter, the same sum", _merged),
    ("one longer, the same product", _factored),
    ("one shorter, the same product", _multiplied),
    ("two swapped", _swapped),
    ("a part reversed", _turned),
    ("sorted", lambda tokens, rng: sorted(tokens, key=lambda token: _number(token) or 0)),
)


def _number(token: str) -> Decimal | None:
    digits = token.removeprefix("-")
    whole, point, rest = digits.partition(".")
    if len(digits) > 25 or not (whole.isascii() and whole.isdigit()):
        return None
    return Decimal(token) if not point or (rest.isascii() and rest.isdigit()) else None


def _step(token: str) -> Decimal:
    """Return the least difference that can be written with the decimals of `token`."""
    return Decimal(1).scaleb(-len(token.partition(".")[2]))


def _written(number: Decimal, like: str) -> str:
    return f"{number:.{len(like.partition('.')[2])}f}"
