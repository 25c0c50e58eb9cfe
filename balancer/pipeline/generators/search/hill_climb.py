"""Hill climbing on CPU time: from large inputs to those on which a survivor takes longest.

Decides where to start, for which survivor to climb, and when to give up. It measures the survivor's CPU time, within
the problem's limits; an accepted submission must stay well below. An input is a find when a survivor passes the limit
on it, or fails on it. The choices depend on times, so no two runs climb in quite the same way.

`Steps` goes from one large input to a similar one: a list reordered, or a part drawn again. Pure.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Protocol

from balancer.judging.verdict import judge_end
from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.styles import MOST, Size, Style, large_styles, without
from balancer.pipeline.generators.draw.values import How, Where, ordered
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot
from balancer.pipeline.generators.search.differences import Find, MadeInput, SearchBudget, confirmed, quick_first
from balancer.pipeline.generators.search.enlarge import enlarged, larger_relatives
from balancer.pipeline.generators.write.build import build, build_given
from balancer.pipeline.proposing import Comparer
from balancer.problem import Submission
from balancer.program import Execution, Status

__all__ = ["HillClimb", "Step", "StepSource", "Steps", "climb_on"]

Drawn = tuple[str, bytes]  # description and input

_WHERE = (Where.FULL, Where.HIGH, Where.LOW, Where.TINY, Where.LOG, Where.EDGE, Where.SEEN)
_STARTS, _KNOWN_STARTS = 16, 4  # made-up and known inputs to start from
_MOST_REFUSED = 6  # refused in a row; then no more are made up, because a relation is not known
_ENLARGED, _BETWEEN = 3, 1  # known inputs that are enlarged, and inputs made up before each
_TAKEN, _MEASURED = 12, 4  # steps taken at once, and valid ones of them that are measured
_LONG = 2**17  # bytes from which an input takes longer to make than to measure
_KEPT = 3  # inputs to climb from, for each survivor
_WELL_WITHIN = 1 / 1.2  # of the limit, for the accepted submission that gives the answer
_REFERENCES = 2  # accepted submissions that are tried for it
_FAST = 0.05  # of the limit: below it, times tell little, and the larger input is better
_VALID = frozenset({"known", "grown"})  # kinds of inputs that a validator has accepted
_PATIENCE, _HOPE = 40, 200  # inputs without a slower one before giving up: for a fast survivor, for a slow one
_MOST_BYTES = 2**22  # bytes of an enlarged input
_DETAIL = 120  # characters


@dataclass(frozen=True, slots=True)
class Step:
    """An input, with the kind of step that made it, and a description."""

    kind: str
    detail: str
    data: bytes


class StepSource(Protocol):
    """Leads from one input to others that are near."""

    def take(self, data: bytes, others: Sequence[bytes], count: int) -> list[Step]:
        """Return up to `count` inputs one step away from `data`. A step may take a part from `others`."""
        ...

    def heard(self, step: Step, *, valid: bool) -> None:
        """Record whether a step led to a valid input."""
        ...


class Steps:
    """Steps from one input to another. Steps that led to valid inputs are taken more often.

    Args:
        found: what is known of the problem's inputs.
        rng: for all random choices.
    """

    def __init__(self, found: Knowledge, rng: random.Random) -> None:
        self._found = found
        self._rng = rng
        self._yield = {name: [2.0, 2.0] for name in _STEPS}

    def take(self, data: bytes, others: Sequence[bytes], count: int) -> list[Step]:
        """Return up to `count` inputs one step away from `data`. A step may take a part from `others`."""
        instance = self._found.read(data)
        made: list[Step] = []
        for _ in range(3 * count if instance else 0):
            assert instance is not None
            (name,) = self._rng.choices(
                list(_STEPS), [max(valid / tried, 0.05) for valid, tried in self._yield.values()]
            )
            drawn = _STEPS[name](self._found, instance, others, self._rng)
            if drawn is not None and drawn[1] != data:
                made.append(Step(name, *drawn))
            if len(made) == count:
                break
        return made

    def heard(self, step: Step, *, valid: bool) -> None:
        """Record whether a step led to a valid input."""
        counted = self._yield.get(step.kind)
        if counted is not None:
            counted[0] += valid
            counted[1] += 1


def _arranged(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Put a list into another order, or fill it with other values that it has."""
    slots = [slot for slot, tokens in instance.items() if len(tokens) > 1]
    if not slots:
        return None
    slot = rng.choice(slots)
    name = rng.choice(list(_ORDERS))
    tokens = [str(token) for token in _ORDERS[name](sorted(instance[slot], key=_key), rng)]
    return _built(found, {**instance, slot: tokens}, f"list {found.names[slot[0]]} {name}", _style("", rng), rng)


def _redrawn(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Draw some fields again that count nothing."""
    fields = sorted({slot[0] for slot in instance if slot[0] not in found.sizes})
    if not fields:
        return None
    chosen = set(rng.sample(fields, min(len(fields), rng.choice((1, 1, 2, len(fields))))))
    given = {slot: tokens for slot, tokens in instance.items() if slot[0] not in chosen}
    style = _style(", ".join(found.names[number] for number in sorted(chosen)) + " anew", rng)
    return _built(found, given, style.name, style, rng)


def _resized(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Make a size as large as possible, or change it by a factor, or add 1."""
    slots = [slot for slot, tokens in instance.items() if slot[0] in found.sizes and _is_number(tokens)]
    if not slots:
        return None
    slot = rng.choice(slots)
    now, name = int(instance[slot][0]), found.names[slot[0]]
    if rng.random() < 0.3:
        given = {other: tokens for other, tokens in instance.items() if other != slot}
        return _built(found, given, f"{name} as large as may be", _style("", rng), rng)
    least = max([found.ranges[slot[0]].low, *(load.least for load in found.loads.get(slot[0], ()))])
    wanted = min(max(rng.choice((now // 2, 2 * now, now // 10, 10 * now, now + 1)), least), 10**9)
    wanted = min(wanted, max(found.ranges[slot[0]].highs))
    return _built(found, {**instance, slot: [str(wanted)]}, f"{name}: {now} -> {wanted}", _style("", rng), rng)


def _nudged(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Set a number that counts nothing to one near it, or to the least or the greatest one."""
    slots = _free_numbers(found, instance)
    if not slots:
        return None
    slot = rng.choice(slots)
    now, low, high = int(instance[slot][0]), found.ranges[slot[0]].low, max(found.ranges[slot[0]].highs)
    wanted = min(max(rng.choice((now - 1, now + 1, now // 2, 2 * now, low, high)), low), high)
    return _set(found, instance, slot, wanted)


def _free_numbers(found: Knowledge, instance: Instance) -> list[Slot]:
    return [slot for slot, tokens in instance.items() if slot[0] not in found.sizes and _is_number(tokens)]


def _set(found: Knowledge, instance: Instance, slot: Slot, value: int) -> Drawn | None:
    data = build_given(found, {**instance, slot: [str(value)]})
    return None if data is None else (f"{found.names[slot[0]]}: {instance[slot][0]} -> {value}", data)


def _lent(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    other = found.read(rng.choice(others)) if others else None
    if other is None:
        return None
    number = rng.choice(sorted({slot[0] for slot in other}))
    given = {**instance, **{slot: tokens for slot, tokens in other.items() if slot[0] == number and slot in instance}}
    return _built(found, given, f"{found.names[number]} of another", _style("", rng), rng)


def _reshaped(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    if not found.edges:
        return None
    edges = rng.choice(found.edges)
    given = {slot: tokens for slot, tokens in instance.items() if slot[0] not in (edges.left, edges.right)}
    style = _style("graph anew", rng)
    assert style.shape is not None
    return _built(found, given, style.shape.value, style, rng)


def _enlarged(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    data = build_given(found, instance)
    return None if data is None else next(larger_relatives(found, data, rng, _MOST_BYTES), None)


def _style(name: str, rng: random.Random) -> Style:
    how, where = rng.choice(list(How)), rng.choice(_WHERE)
    shape = rng.choice(list(Shape))
    return Style(name, Size(MOST, MOST), (where,), (how,), shape, Size(1, 1))


def _built(
    found: Knowledge, given: dict[Slot, Sequence[str]], detail: str, style: Style, rng: random.Random
) -> Drawn | None:
    try:
        return detail, build(found, given, Fill(found, style, rng))
    except TooLarge:
        return None


def _is_number(tokens: Sequence[str]) -> bool:
    return len(tokens) == 1 and tokens[0].isascii() and tokens[0].isdigit()


def _key(token: str) -> tuple[int, int, str]:
    digits = token.removeprefix("-")
    number = digits.isascii() and digits.isdigit() and len(digits) < 1000
    return (0, int(token), "") if number else (1, 0, token)


_STEPS = {
    "arranged": _arranged,
    "redrawn": _redrawn,
    "resized": _resized,
    "nudged": _nudged,
    "lent": _lent,
    "reshaped": _reshaped,
    "enlarged": _enlarged,
}


# -- orders: of a sorted list --------------------------------------------------------------------------

_Order = Callable[[list[str], random.Random], list[str]]


def _nearly(tokens: list[str], rng: random.Random) -> list[str]:
    for _ in range(1 + len(tokens) // 1000):
        one, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        tokens[one], tokens[other] = tokens[other], tokens[one]
    return tokens


def _blocks(tokens: list[str], rng: random.Random) -> list[str]:
    """Return sorted runs of about the square root of the length, the last run first."""
    width = max(int(len(tokens) ** 0.5), 1)
    return [token for start in reversed(range(0, len(tokens), width)) for token in tokens[start : start + width]]


_ORDERS: dict[str, _Order] = {
    "sorted": lambda tokens, rng: tokens,
    "sorted down": lambda tokens, rng: tokens[::-1],
    "shuffled": lambda tokens, rng: rng.sample(tokens, len(tokens)),
    "as organ pipes": partial(ordered, "ORGAN_PIPE"),
    "in zigzag": partial(ordered, "ZIGZAG"),
    "against quicksort": partial(ordered, "PIVOTS"),
    "nearly sorted": _nearly,
    "in runs": _blocks,
    "rotated": lambda tokens, rng: tokens[len(tokens) // 2 :] + tokens[: len(tokens) // 2],
    "all least": lambda tokens, rng: tokens[:1] * len(tokens),
    "all greatest": lambda tokens, rng: tokens[-1:] * len(tokens),
    "of two values": lambda tokens, rng: (
        rng.choices((tokens[0], tokens[-1]), k=len(tokens)) if rng.random() < 0.5 else _halves(tokens)
    ),
    "one apart": lambda tokens, rng: tokens[:1] * (len(tokens) - 1) + tokens[-1:],
}


def _halves(tokens: list[str]) -> list[str]:
    half = len(tokens) // 2
    return tokens[:1] * half + tokens[-1:] * (len(tokens) - half)


@dataclass(slots=True)
class _Slope:
    """The slowest inputs of a survivor so far: (share of the limit, description, input), the slowest first."""

    survivor: Submission
    best: list[tuple[float, str, bytes]] = field(default_factory=list)
    idle: int = 0

    def add(self, share: float, step: Step) -> None:
        before = self.best[0] if self.best else None
        self.best.append((share, step.detail[-_DETAIL:], step.data))
        self.best.sort(key=lambda place: (-max(place[0], _FAST), -len(place[2])))
        del self.best[_KEPT:]
        self.idle = self.idle + 1 if self.best[0] is before else 0

    def lend(self, step: Step) -> None:
        """Add another survivor's larger input, while no input is slow yet."""
        if self.share < _FAST and all(len(step.data) > len(place[2]) for place in self.best):
            self.add(0.0, step)

    @property
    def hopeless(self) -> bool:
        return not self.best or self.idle >= (_PATIENCE if self.share < _FAST else _HOPE)

    @property
    def share(self) -> float:
        return self.best[0][0] if self.best else 0.0


class HillClimb:
    """The climb on one problem, over all its rounds.

    Args:
        starts: the first inputs.
        known: valid ones that take long, the slowest first; they come after the first ones, as a base to climb from.
        steps: leads from one input to another.
        comparer: measures.
        rng: for all random choices.
    """

    def __init__(
        self,
        starts: Iterator[Step],
        known: Sequence[bytes],
        steps: StepSource,
        comparer: Comparer,
        rng: random.Random,
    ) -> None:
        self._comparer = comparer
        self._rng = rng
        self._seen: set[bytes] = set()
        self._refused = 0  # made-up inputs to start from, refused in a row
        self._starts = starts
        self._known = (Step("known", "known", data) for data in known[:_KNOWN_STARTS])
        self._steps = steps
        self._slopes: dict[str, _Slope] = {}
        self._late: Counter[str] = Counter()  # accepted submissions that came near the limit, and how often

    def finds(
        self, survivors: Iterable[Submission], allowance: SearchBudget, done: Set[str] = frozenset()
    ) -> Iterator[Find | None]:
        """Yield finds until each survivor has one, no input gets slower, or the allowance is used up.

        Yields None after some inputs. `done`: names of survivors for which others have found one, up to now.
        """
        left = {survivor.name: survivor for survivor in survivors}
        for name, survivor in left.items():
            self._slopes.setdefault(name, _Slope(survivor)).idle = 0
        while left and allowance.left and self._comparer.accepted:
            made, names = self._next(left)
            if not names:
                return
            for each in self._tried(made, [left[name] for name in names], allowance):
                found = tuple(name for name in each.names if left.pop(name, None))
                if found:
                    yield Find(each.made, found)
            yield None
            for name in done & left.keys():
                del left[name]

    def _next(self, left: Mapping[str, Submission]) -> tuple[list[Step], list[str]]:
        """Return the next inputs, and the names of the survivors to measure. No names: give up."""
        first = chain(self._starts, self._known) if self._refused < _MOST_REFUSED else self._known
        starts = [step for step in islice(first, _MEASURED) if self._is_new(step)]
        if starts:
            return starts, list(left)
        slopes = [self._slopes[name] for name in left if not self._slopes[name].hopeless]
        if not slopes:
            return [], []
        (slope,) = self._rng.choices(slopes, [_FAST + each.share for each in slopes])
        _, before, base = self._rng.choices(slope.best, range(len(slope.best), 0, -1))[0]
        others = [place[2] for each in slopes for place in each.best]
        steps = self._steps.take(base, others, _TAKEN if len(base) < _LONG else _MEASURED)
        slope.idle += 1
        named = [replace(step, detail=f"{before}; {step.detail}") for step in steps if self._is_new(step)]
        return named, [slope.survivor.name]

    def _is_new(self, step: Step) -> bool:
        is_new = step.data not in self._seen
        self._seen.add(step.data)
        return is_new

    def _tried(self, made: Sequence[Step], survivors: Sequence[Submission], allowance: SearchBudget) -> list[Find]:
        """Measure the valid inputs, some at a time, and return the finds."""
        unsure = [step for step in made if step.kind not in _VALID]
        asked = dict(zip(unsure, self._comparer.valid([step.data for step in unsure]), strict=True))
        says = [asked.get(step, True) for step in made]
        for step, valid in zip(made, says, strict=True):
            self._steps.heard(step, valid=valid is True)
            if step.kind == "made up":
                self._refused = 0 if valid else self._refused + 1
        accepted = [step for step, valid in zip(made, says, strict=True) if valid]
        chosen = accepted[:_MEASURED]
        self._seen.difference_update(step.data for step in accepted[_MEASURED:])  # they may come again
        measured: list[_Measured] = []

        def act(step: Step) -> None:
            if allowance.left:
                measured.append(self._measured(step, survivors))

        self._comparer.each(act, chosen)
        for each in measured:
            for name, share in each.shares.items():
                self._slopes[name].add(share, each.step)
            for slope in self._slopes.values() if each.shares else ():
                slope.lend(each.step)
        return [
            Find(MadeInput("slow", each.step.detail, each.step.data), each.names) for each in measured if each.names
        ]

    def _measured(self, step: Step, survivors: Sequence[Submission]) -> "_Measured":
        comparer, limit_s, data = self._comparer, self._comparer.limit_s, step.data
        right = self._quick_answer(data)
        if right is None:
            return _Measured(step, {}, ())
        shares: dict[str, float] = {}
        failed: list[str] = []

        def measure(survivor: Submission) -> None:
            ran = comparer.measured(survivor, data)
            if ran is None:
                return
            slow = ran.status is Status.TIME_LIMIT
            shares[survivor.name] = 1.0 if slow else min(ran.time_s / limit_s, 1.0)
            if slow or comparer.right([(data, ran, right.stdout)])[0] is False:
                failed.append(survivor.name)

        comparer.each(measure, survivors)
        suspects = [each for each in survivors if each.name in failed]
        return _Measured(step, shares, confirmed(comparer, data, right.stdout, suspects) if suspects else ())

    def _quick_answer(self, data: bytes) -> Execution | None:
        """Run an accepted submission that stays well within the limit; None if there is none, or they fail."""
        accepted, limit_s = quick_first(self._comparer.accepted), self._comparer.limit_s
        for submission in sorted(accepted, key=lambda each: self._late[each.name])[:_REFERENCES]:
            ran = self._comparer.measured(submission, data)
            late = ran is not None and (ran.status is Status.TIME_LIMIT or ran.time_s > _WELL_WITHIN * limit_s)
            if not late:
                return None if ran is None or judge_end(ran) is not None else ran
            self._late[submission.name] += 1
        return None


@dataclass(frozen=True, slots=True)
class _Measured:
    """Results of an input: the shares of the limit that survivors took, and the names of those that failed."""

    step: Step
    shares: Mapping[str, float]
    names: tuple[str, ...]


def climb_on(
    found: Knowledge,
    comparer: Comparer,
    known: Sequence[bytes],
    rng: random.Random,
    done: Set[str] = frozenset(),
    drawn: Iterable[Step] = (),
) -> HillClimb:
    """Return the climb on a problem.

    Args:
        found: what is known of its inputs.
        comparer: measures.
        known: the inputs that took longest so far, the slowest first.
        rng: for all random choices.
        done: styles of inputs that were judged.
        drawn: further inputs to start from.
    """
    starts = _starts(found, known, drawn, comparer, rng, done)
    return HillClimb(starts, known, Steps(found, rng), comparer, rng)


def _starts(
    found: Knowledge,
    known: Sequence[bytes],
    drawn: Iterable[Step],
    comparer: Comparer,
    rng: random.Random,
    done: Set[str],
) -> Iterator[Step]:
    """Yield the first inputs: drawn ones, the largest that can be made up, and larger ones like small known ones.

    Where nothing is counted, one number decides how long a program takes: known inputs with its greatest value.
    """
    yield from drawn
    yield from _greatest_of_one(found, known)
    styles = islice(without(done, large_styles(rng)), _STARTS)
    short = (data for data in known if len(data) < _LONG)
    for data in islice(short, _ENLARGED):  # what is made up is cheaper, but the first refusals end it
        yield from _made_up(found, islice(styles, _BETWEEN), rng)
        larger = enlarged(found, data, rng, _MOST_BYTES, comparer.valid)
        if larger is not None:
            yield Step("grown", *larger)
    yield from _made_up(found, styles, rng)


def _greatest_of_one(found: Knowledge, known: Sequence[bytes]) -> Iterator[Step]:
    """Yield known inputs with one number as great as may be, where nothing is counted; each number in turn."""
    read = [instance for data in known if not found.sizes and (instance := found.read(data)) is not None]
    free = [(instance, frozenset(_free_numbers(found, instance))) for instance in read]
    made = (
        _set(found, instance, slot, max(found.ranges[slot[0]].highs))
        for slot in sorted(frozenset().union(*(slots for _, slots in free)))
        for instance, slots in free
        if slot in slots
    )
    yield from (Step("made up", *one) for one in islice((one for one in made if one is not None), _STARTS))


def _made_up(found: Knowledge, styles: Iterable[Style], rng: random.Random) -> Iterator[Step]:
    for style in styles:
        with suppress(TooLarge):
            yield Step("made up", style.name, build(found, {}, Fill(found, style, rng)))
