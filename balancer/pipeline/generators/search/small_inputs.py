"""Small inputs: random ones without end, and all of them in order.

Random ones are drawn, changed from known ones, or changed from valid ones. The more inputs of a way are valid, the more
often it is used. So if relations are not known, and most drawn inputs are refused, the search continues from accepted
ones, one change at a time. Some of the refused ones are mended. Inputs with a rare answer are
changed as often as others.

All small inputs in order: all sizes up to a limit, with few values. Decides which values these are. A complete
enumeration leaves nothing to chance; when it gets too large, random inputs are better. Pure: inputs that a validator
certainly refuses are left out.
"""

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, takewhile

from balancer.pipeline.generators.draw.fill import TooLarge
from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.sizes import MOST_TOKENS
from balancer.pipeline.generators.draw.styles import Size, Style, small_styles, telling_styles
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.bounds import trust
from balancer.pipeline.generators.learn.edges import is_connected
from balancer.pipeline.generators.learn.facts import Fact, ListOrder, TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import RuleKind
from balancer.pipeline.generators.learn.template import whole_number
from balancer.pipeline.generators.search.differences import MadeInput
from balancer.pipeline.generators.search.input_mender import small_text
from balancer.pipeline.generators.write.build import build, build_changed, build_styled
from balancer.pipeline.generators.write.changes import changes, set_constants, text_changes
from balancer.pipeline.generators.write.commands import command_changes, has_commands
from balancer.pipeline.generators.write.word_lists import has_word_lists, word_changes

__all__ = ["EveryInput", "Extent", "Odometer", "SmallInputs", "answer_kind", "input_maker"]

_DRAWN_AT_ONCE = 250
_MOST_BYTES = 2**18  # bytes of a batch
_LARGE = 4096  # larger inputs are not changed further
_KEPT = 300  # valid inputs for further changes
_CHANGED_AT_ONCE = 40  # of these, chosen for each batch
_MOST_SIZE = 2000  # of a list whose size is a constant of a submission
_ALIKE = 20  # of these with answers of one kind
_DRAWS = 20  # draws for each wanted input, before a batch is left short; the others were repeated
_TOKENS, _BEGINNING, _SMALL_NUMBER = 1000, 8, 8  # that tell the kind of an answer
_MENDED = 60  # mended inputs of a batch
_MENDED_FROM = 0.2  # share of refused inputs from which some are mended
_IN_VAIN = 2  # batches of which nothing is mended, before that is given up
_LEAST_SHARE = 0.05  # least share of a way, even if all its inputs are refused

_ANYHOW = (How.RANDOM, How.RANDOM, How.FEW, How.SORTED, How.REVERSED, How.RAMP, How.EQUAL, How.ODD_ONE)


class SmallInputs:
    """Small inputs of one problem.

    Args:
        found: what is known of its inputs; None: only the inputs themselves.
        known: all inputs used so far.
        near: those of them that reject a wrong submission, because survivors may fail on similar ones.
        rng: for all random choices.
        mend: makes at most so many valid inputs of refused ones.
        constants: of the submissions.
        more: further ways: descriptions and inputs of each.
    """

    def __init__(
        self,
        found: Knowledge | None,
        known: Sequence[bytes],
        near: Sequence[bytes],
        rng: random.Random,
        mend: Callable[[Sequence[str], int], Sequence[MadeInput]] = lambda refused, wanted: (),
        constants: Sequence[int | str] = (),
        more: Mapping[str, Iterator[tuple[str, bytes]]] | None = None,
    ) -> None:
        self._found = found
        self._rng = rng
        self._seen: set[bytes] = {_digest(data) for data in known}
        self._bases: dict[str, list[bytes]] = {
            "near": [data for data in near if len(data) <= _LARGE],
            "changed": [data for data in known if len(data) <= _LARGE],
        }
        if found is not None and has_commands(found):
            self._bases["commands"] = self._bases["changed"]
        if found is not None and has_word_lists(found):
            self._bases["words"] = self._bases["changed"]
        if found is not None and constants:
            self._bases["constants"] = self._bases["changed"]
        self._constants = constants
        drawn = (
            {} if found is None else {kind: build_styled(found, styles, rng) for kind, styles in _drawn(rng).items()}
        )
        self._drawn: dict[str, Iterator[tuple[str, bytes]]] = {**drawn, **(more or {})}
        # Valid inputs and all inputs of each way; at the beginning all ways are equal.
        self._yield = {kind: [4.0, 4.0] for kind in (*self._bases, *self._drawn, "answers")}
        self._by_answer: dict[AnswerKind, deque[bytes]] = {}
        self._mend = mend
        self._refused: list[str] = []  # of the last batch, if many were
        self._in_vain = 0  # batches in a row of which nothing could be mended

    def batch(self) -> list[MadeInput]:
        """Return the next inputs."""
        streams = {**self._drawn, **{kind: self._changed(kind, bases) for kind, bases in self._bases.items() if bases}}
        made = self._mended()
        size = sum(len(each.data) for each in made)
        for _ in range(_DRAWS * _DRAWN_AT_ONCE):
            if not streams or len(made) == _DRAWN_AT_ONCE or size > _MOST_BYTES:
                break
            kinds = list(streams)
            (kind,) = self._rng.choices(kinds, [self._share(kind) for kind in kinds])
            detail, data = next(streams[kind], ("", b""))
            if not data:
                del streams[kind]
                continue
            digest = _digest(data)
            if digest not in self._seen:
                self._seen.add(digest)
                made.append(MadeInput(kind, detail, data))
                size += len(data)
        return made

    def heard(self, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Prefer the ways with valid inputs, change valid inputs further, and keep the refused ones to be mended."""
        refused = [
            text for each, says in zip(made, valid, strict=True) if says is False if (text := small_text(each.data))
        ]
        self._refused = [*filter(None, refused)] if len(refused) > _MENDED_FROM * len(made) else []
        for each, says in zip(made, valid, strict=True):
            if says is None:
                continue
            if each.kind in self._yield:
                counted = self._yield[each.kind]
                counted[0] += says
                counted[1] += 1
            if says and len(each.data) <= _LARGE:
                self._keep(self._bases["changed"], each.data)

    def answered(self, answers: Sequence[tuple[MadeInput, bytes]]) -> None:
        """Keep inputs by the kind of their answer, for further changes: rare kinds are changed as often as others."""
        for made, answer in answers:
            if len(made.data) <= _LARGE:
                self._by_answer.setdefault(answer_kind(answer), deque(maxlen=_ALIKE)).append(made.data)
        if len(self._by_answer) > 1:
            kinds = self._rng.choices(list(self._by_answer.values()), k=_CHANGED_AT_ONCE)
            self._bases["answers"] = [self._rng.choice(kind) for kind in kinds]

    def _mended(self) -> list[MadeInput]:
        """Return new inputs made of the refused ones of the last batch."""
        if not self._refused or self._in_vain >= _IN_VAIN:
            return []
        self._rng.shuffle(self._refused)
        found = [each for each in self._mend(self._refused, _MENDED) if _digest(each.data) not in self._seen]
        self._seen.update(_digest(each.data) for each in found)
        self._in_vain = 0 if found else self._in_vain + 1
        return found

    def _keep(self, bases: list[bytes], data: bytes) -> None:
        if len(bases) < _KEPT:
            bases.append(data)
        else:
            bases[self._rng.randrange(_KEPT)] = data

    def _share(self, kind: str) -> float:
        valid, tried = self._yield[kind]
        return max(valid / tried, _LEAST_SHARE)

    def _changed(self, kind: str, bases: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        if self._found is None:
            yield from text_changes(bases, self._rng)
            return
        chosen = self._rng.sample(bases, min(len(bases), _CHANGED_AT_ONCE))
        instances = tuple(instance for data in chosen if (instance := self._found.read(data)) is not None)
        known = replace(self._found, instances=instances)
        if kind == "constants":
            mixed = self._rng.sample(self._constants, len(self._constants))
            told = set_constants(known, mixed, self._rng, _MOST_SIZE)
        elif kind == "words":
            told = word_changes(known, self._constants, self._rng)
        else:
            told = command_changes(known, self._rng) if kind == "commands" else changes(known, self._rng)
        yield from build_changed(self._found, told, self._rng)


AnswerKind = tuple[int, tuple[int, str], tuple[int, str]]


def answer_kind(answer: bytes) -> AnswerKind:
    """Return what two answers of one kind have in common: about how many tokens, and the least and greatest token.

    Of a large number only the sign and the number of digits count, of a word the beginning.
    """
    tokens = answer.decode("utf-8", "replace").split(None, _TOKENS)[:_TOKENS]
    kinds = [_token_kind(token) for token in tokens] or [(0, "")]
    return len(tokens).bit_length(), min(kinds), max(kinds)


def _token_kind(token: str) -> tuple[int, str]:
    value = whole_number(token)
    if value is None:
        return 0, token[:_BEGINNING]
    if abs(value) <= _SMALL_NUMBER:
        return value, ""
    return (_SMALL_NUMBER + len(token)) * (1 if value > 0 else -1), "digits"


def _drawn(rng: random.Random) -> dict[str, Iterator[Style]]:
    return {
        "tiny": _tiny(rng),
        "small": small_styles(rng),
        "telling": _again(telling_styles),
        "medium": _medium(rng),
        "cases": _cases(rng),
    }


def _tiny(rng: random.Random) -> Iterator[Style]:
    while True:
        most = rng.choice((2, 3, 4, 5))
        shape = rng.choice((None, *Shape))
        where, how = (Where.TINY, Where.LOW), (How.RANDOM, How.FEW)
        yield Style(f"tiny {most}", Size(1, most), where, how, shape, Size(1, 2))


def _medium(rng: random.Random) -> Iterator[Style]:
    while True:
        most = rng.choice((15, 30, 60, 120))
        where = rng.choice(
            ((Where.TINY,), (Where.FULL,), (Where.SEEN, Where.LOG), (Where.FULL, Where.EDGE, Where.HIGH))
        )
        shape = rng.choice((None, *Shape))
        yield Style(f"up to {most}", Size(most // 3, most), where, _ANYHOW, shape, Size(1, 3))


def _cases(rng: random.Random) -> Iterator[Style]:
    """Yield styles with many test cases in one input, which cost least."""
    while True:
        most = rng.choice((3, 4, 6, 8))
        blocks = rng.choice((10, 50, 200, 1000))
        where = rng.choice(((Where.TINY,), (Where.TINY, Where.LOW), (Where.FULL, Where.EDGE)))
        yield Style(f"{blocks} cases up to {most}", Size(1, most), where, _ANYHOW, None, Size(blocks, blocks))


def _again(styles: Callable[[], Iterator[Style]]) -> Iterator[Style]:
    while True:
        yield from styles()


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=12).digest()


class Odometer:
    """Enumerates sequences of choices.

    The last wheel turns first; wheels after it are removed, as later choices may differ.
    """

    def __init__(self) -> None:
        self._wheels: list[list[int]] = []  # position and number of positions of each wheel
        self._at = 0

    def pick(self, count: int) -> int:
        """Return the next choice of this sequence, from 0 to `count` - 1."""
        if self._at == len(self._wheels):
            self._wheels.append([0, count])
        self._at += 1
        return self._wheels[self._at - 1][0]

    def advance(self) -> bool:
        """Go on to the next sequence. Return False if there is none."""
        del self._wheels[self._at :]
        self._at = 0
        while self._wheels:
            self._wheels[-1][0] += 1
            if self._wheels[-1][0] < self._wheels[-1][1]:
                return True
            self._wheels.pop()
        return False


_MOST = 20_000  # inputs of one extent; larger extents are left out
_TRIED = 3 * _MOST  # tries for an extent, with repetitions
_LOOKED = 500  # tries between two looks at the time
_IN_ORDER_AT_ONCE = 500
_BARREN = 4  # batches without a valid input, before giving up
_SURE = 0.5  # trust in a list's property from which lists without it are left out


@dataclass(frozen=True, slots=True)
class Extent:
    """Limits of an enumeration.

    Attributes:
        size: the most of each counted thing.
        width: number of different values or letters.
        ends: whether the greatest value is one of them.
    """

    size: int
    width: int
    ends: bool = False


_EXTENTS = (
    Extent(1, 3),
    Extent(1, 2, ends=True),
    Extent(2, 2),
    Extent(2, 3),
    Extent(2, 2, ends=True),
    Extent(1, 12),
    Extent(3, 2),
    Extent(3, 3),
    Extent(3, 4),
    Extent(4, 2),
    Extent(2, 8),
    Extent(4, 3),
    Extent(1, 200),
    Extent(5, 2),
    Extent(6, 2),
    Extent(8, 2),
    Extent(10, 2),
    Extent(5, 3),
)


class EveryInput:
    """All inputs of one extent after another, in batches.

    Args:
        make: makes the next input of an extent; see `input_maker`. Raises TooLarge: this one is no input.
        go_on: returns whether there is time; an extent that takes longer is left out.
    """

    def __init__(self, make: Callable[[Extent, Odometer], bytes], go_on: Callable[[], bool] = lambda: True) -> None:
        self._barren = _BARREN
        self._made = _all(make, _EXTENTS, go_on)

    def batch(self) -> list[MadeInput]:
        """Return the next inputs; empty if there are none, or the time is over."""
        made = islice(self._made, _IN_ORDER_AT_ONCE) if self._barren else ()
        return [each for each in takewhile(lambda each: each is not None, made) if each is not None]

    def heard(self, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Stop after several batches without a valid input: then a relation is not known."""
        self._barren = _BARREN if any(valid) else self._barren - 1

    def answered(self, answers: Sequence[tuple[MadeInput, bytes]]) -> None:
        """Nothing is learnt: all inputs come anyway."""


def input_maker(found: Knowledge) -> Callable[[Extent, Odometer], bytes]:
    """Return what makes the inputs of a problem of which this is known."""
    return lambda extent, odometer: build(found, {}, _Every(found, extent, odometer))


_Make = Callable[[Extent, Odometer], bytes]


def _all(make: _Make, extents: Iterable[Extent], go_on: Callable[[], bool]) -> Iterator[MadeInput | None]:
    """Yield the inputs; None each time that the time is over."""
    seen: set[bytes] = set()
    too_large: list[Extent] = []
    for extent in extents:
        if any(extent.size >= other.size and extent.width >= other.width for other in too_large):
            continue
        inputs = _of(make, extent, go_on)
        if inputs is None:
            too_large.append(extent)
            if not go_on():
                yield None
            continue
        new = [data for data in inputs if data not in seen]
        seen.update(new)
        most = (
            f"every input of size {extent.size} and {extent.width} values{' and the greatest' if extent.ends else ''}"
        )
        yield from (MadeInput("every", most, data) for data in new)


def _of(make: _Make, extent: Extent, go_on: Callable[[], bool]) -> list[bytes] | None:
    """Return all inputs of an extent, shortest first; None if there are too many, or it takes too long."""
    made: dict[bytes, None] = {}
    odometer = Odometer()
    for tried in range(_TRIED + 1):
        if tried == _TRIED or len(made) > _MOST or (tried % _LOOKED == _LOOKED - 1 and not go_on()):
            return None
        with suppress(TooLarge):
            made[make(extent, odometer)] = None
        if not odometer.advance():
            break
    return sorted(made, key=len)


def _is_double(rows: Sequence[tuple[int, int]]) -> bool:
    *before, (left, right) = rows
    return (left, right) in before or (right, left) in before


class _Every:
    """Takes each value of an input from the odometer."""

    def __init__(self, found: Knowledge, extent: Extent, odometer: Odometer) -> None:
        self._found = found
        self._extent = extent
        self._odometer = odometer
        self._drawn: dict[int, list[str]] = {}  # the columns so far
        kept = (rule for rule, share in found.beliefs.items() if share >= 0.5)
        self._listed = {rule.fields[1]: rule for rule in kept if rule.kind in (RuleKind.NAMED, RuleKind.COMPOSED)}

    def length(self, number: int, values: Mapping[int, int]) -> int:
        return self._odometer.pick(self._extent.size + 1)

    def room(self, fields: object, values: object) -> int:
        return MOST_TOKENS  # lists that are too long are refused

    def patches(self) -> tuple[tuple[int, int], ...]:
        return ()  # written values stay; another turn of the odometer has the right one

    def columns(
        self, fields: Sequence[int], given: Sequence[Sequence[str] | None], count: int, values: Mapping[int, int]
    ) -> list[list[str]]:
        known = dict(values)
        columns: dict[int, list[str]] = {number: [] for number in fields}
        for _ in range(count):
            for number in fields:
                token = self._token(number, count, columns[number], known)
                columns[number].append(token)
                value = whole_number(token)
                if count == 1 and value is not None:
                    known[number] = value
            self._check_edges(columns, known, complete=False)
        self._check_edges(columns, known, complete=True)
        self._drawn.update(columns)
        return [columns[number] for number in fields]

    def _check_edges(self, columns: Mapping[int, list[str]], known: Mapping[int, int], *, complete: bool) -> None:
        """Raise TooLarge if edges make a graph of another kind than those seen."""
        for edges in self._found.edges:
            if edges.left not in columns or edges.right not in columns or edges.bound.field not in known:
                continue
            place: Callable[[str], int] = int
            if edges.names is not None:
                names = self._drawn.get(edges.names, [])
                if not set(names).issuperset(columns[edges.left] + columns[edges.right]):
                    continue
                place = names.index
            rows = list(zip(map(place, columns[edges.left]), map(place, columns[edges.right]), strict=True))
            if edges.simple and rows and (rows[-1][0] == rows[-1][1] or _is_double(rows)):
                raise TooLarge
            nodes = edges.bound.of(known) - edges.low + 1
            low = edges.low if edges.names is None else 0
            numbered = [(left - low, right - low) for left, right in rows]
            if complete and edges.connected and not is_connected(nodes, numbered):
                raise TooLarge

    def _token(self, number: int, count: int, before: Sequence[str], known: Mapping[int, int]) -> str:
        fact = self._found.facts.fields[number]
        rule = self._listed.get(number)
        if rule is not None and rule.fields[0] in self._drawn:
            names = self._drawn[rule.fields[0]]
            pairs = [one + other for one in names for other in names] if rule.kind is RuleKind.COMPOSED else []
            return self._pick(self._trusted(fact, list(dict.fromkeys((*names, *pairs))), before))
        if fact.kind is TokenKind.WORD:
            options = self._trusted(fact, list(fact.words), before) if fact.words else None
            return self._word(number, count, known) if options is None else self._pick(options)
        if fact.kind is TokenKind.FLOAT:
            return self._pick([f"{value:.{fact.decimals}f}" for value in self._floats(number)])
        values = self._sizes(number) if number in self._found.sizes else self._numbers(number, count, known)
        return self._pick(self._trusted(fact, [str(value) for value in values], before))

    def _pick(self, options: Sequence[str]) -> str:
        if not options:
            raise TooLarge
        return options[self._odometer.pick(len(options))]

    def _sizes(self, number: int) -> Sequence[int]:
        found = self._found.ranges[number]
        least = max([found.low, *(load.least for load in self._found.loads.get(number, ()))])
        if number in self._found.blocks:  # the number of test cases is always one
            return [least if least > 0 else 1]
        return range(least, max(min(self._extent.size, max(found.highs)), least) + 1)

    def _numbers(self, number: int, count: int, known: Mapping[int, int]) -> Sequence[int]:
        fact, found = self._found.facts.fields[number], self._found.ranges[number]
        low, high = found.low, max(found.highs)
        if found.bound is not None and found.bound.field in known:
            high = min(high, found.bound.of(known))
        if fact.permutation:
            return range(fact.low, fact.low + count)
        width = self._extent.width
        first = max(low, -(width // 2)) if low < 0 else low
        values = list(range(first, min(first + width - 1, high) + 1))
        return [*values, high] if self._extent.ends and high > first + width - 1 else values

    def _floats(self, number: int) -> Sequence[float]:
        found = self._found.ranges[number]
        halves = [found.low + step / 2 for step in range(self._extent.width)]
        return [value for value in halves if value <= max(found.highs)] or [found.low]

    def _word(self, number: int, count: int, known: Mapping[int, int]) -> str:
        fact, found = self._found.facts.fields[number], self._found.ranges[number]
        all_letters = fact.letters if fact.closed else found.letters or fact.letters
        letters = all_letters if fact.closed else all_letters[: self._extent.width]
        if fact.length is not None and fact.length.field in known:
            length = fact.length.of(known)
        else:
            most = self._extent.size if count == 1 else min(self._extent.size, 2)
            most = max(min(most, max(found.highs)), found.low)
            length = found.low + self._odometer.pick(most - found.low + 1)
        return "".join(letters[self._odometer.pick(len(letters))] for _ in range(length))

    def _trusted(self, fact: Fact, options: list[str], before: Sequence[str]) -> list[str]:
        """Return the options that keep a list as those seen, as far as that is trusted."""
        if not before:
            return options
        trusted = trust(fact, self._found.hints)
        if fact.distinct or fact.permutation:
            options = options if trusted["distinct"] < _SURE else [each for each in options if each not in before]
        if fact.order is not ListOrder.NONE and trusted["order"] >= _SURE:
            least = int(before[-1]) + (fact.order is ListOrder.STRICTLY_UP)
            options = [each for each in options if int(each) >= least]
        return options
