"""Inputs for the ablation, each with what had a part in it, and switches that leave a rule out.

Decides how many inputs of each way there are: the same share of every kind, so that rare ones are seen as well. What is
drawn is tagged with its stream, its style or change, and every function of the generators that ran for it.
"""

import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import islice
from types import CodeType
from typing import Any
from unittest.mock import patch

from balancer.pipeline.generators.draw.styles import stream_of, style_of
from balancer.pipeline.generators.learn.bounds import Hints
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.learn.rules import RuleKind
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.search.ask_ranges import widen_ranges
from balancer.pipeline.generators.search.differences import InputSource, MadeInput, SearchBudget
from balancer.pipeline.generators.search.hill_climb import HillClimb, climb_on
from balancer.pipeline.generators.search.small_inputs import SmallInputs
from balancer.pipeline.proposing import UnusedInput, ValidatorFeedback
from balancer.problem import Problem, Proposal
from tests.benchmarks.ablation_runs import PackageJudge

_HERE = "balancer/pipeline/generators/"
_GENERATORS = "balancer.pipeline.generators."
_LONG = 50_000  # bytes, from which judging takes long: there are not so many of those


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many inputs of each kind, and seconds to climb, for a package and a seed."""

    proposed: int = 40
    again: int = 15
    small: int = 40
    climb_s: float = 2.0
    climbed: int = 3
    large: int = 7


@dataclass(frozen=True, slots=True)
class Tagged:
    """An input, what had a part in it, and which wrong submissions it kills; `why`: it does not count."""

    part: str
    detail: str
    size: int
    tags: frozenset[str]
    why: str
    kills: frozenset[str]


class _Trace:
    """Notes which functions of the generators run; each of them once for an input, so that it costs next to nothing."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._monitoring: Any = sys.monitoring  # of Python 3.12
        self._tool = self._monitoring.PROFILER_ID

    def _began(self, code: CodeType, offset: int) -> Any:
        at = code.co_filename.find(_HERE)
        if at >= 0 and "<" not in code.co_name:
            self.seen.add(f"{code.co_filename[at + len(_HERE) : -3]}:{code.co_qualname}")
        return self._monitoring.DISABLE

    @contextmanager
    def on(self) -> Iterator[None]:
        self.seen = set()
        began = self._monitoring.events.PY_START
        self._monitoring.use_tool_id(self._tool, "ablation")
        self._monitoring.register_callback(self._tool, began, self._began)
        self._monitoring.set_events(self._tool, began)
        self._monitoring.restart_events()
        try:
            yield
        finally:
            self._monitoring.set_events(self._tool, 0)
            self._monitoring.free_tool_id(self._tool)


def inputs_of(problem: Problem, judge: PackageJudge, seed: int, amounts: Amounts) -> Iterator[Tagged]:
    """Make inputs in every way, judge them, and yield what came of each."""
    first: list[tuple[Proposal, Tagged]] = []
    for proposal, tagged in proposed(problem, judge, seed, amounts):
        first.append((proposal, tagged))
        yield tagged
    killing = [(proposal, tagged) for proposal, tagged in first if tagged.kills]
    wider = replace(problem, data=(*problem.data, *(Proposal(p.data, p.origin) for p, _ in killing)))
    found = knowledge_of(wider)
    if found is not None:
        found = widen_ranges(found, judge.valid)
    known = [proposal.data for proposal, _ in first]
    near = [proposal.data for proposal, _ in killing]
    rng = random.Random(f"{seed} small")
    small = SmallInputs(found, [*known, *(each.data for each in problem.data)], near, rng)
    yield from _searched("small", small, judge, amounts.small)
    if found is None:
        return
    yield from _climbed(
        climb_on(found, judge, sorted(known, key=len)[-6:], random.Random(f"{seed} climb")), judge, amounts
    )


def proposed(problem: Problem, judge: PackageJudge, seed: int, amounts: Amounts) -> Iterator[tuple[Proposal, Tagged]]:
    """Yield what `mutate` proposes at first, and what it proposes once the validators have answered."""
    generator, trace = MutateGenerator(), _Trace()
    made = iter(generator.propose(problem, random.Random(seed), amounts.proposed))
    valid: list[UnusedInput] = []
    refused: list[UnusedInput] = []
    large = 0
    for proposal, seen in _traced(made, trace):
        large += len(proposal.data) > _LONG
        if len(proposal.data) > _LONG and large > amounts.large:
            continue
        tagged = _judged("mutate", proposal.origin.detail, proposal.data, seen, judge)
        (refused if tagged.why not in ("", "contested") else valid).append(
            UnusedInput(proposal.origin, proposal.data, tagged.why)
        )
        yield proposal, tagged
    heard = ValidatorFeedback(tuple(valid), tuple(refused))
    for proposal, seen in _traced(
        iter(generator.ask_again(problem, heard, random.Random(-seed), amounts.again)), trace
    ):
        if len(proposal.data) > _LONG:
            continue
        yield proposal, _judged("again", proposal.origin.detail, proposal.data, seen, judge)


def _traced(made: Iterator[Proposal], trace: _Trace) -> Iterator[tuple[Proposal, set[str]]]:
    while True:
        with trace.on():
            proposal = next(made, None)
        if proposal is None:
            return
        yield proposal, trace.seen


def _searched(part: str, source: InputSource, judge: PackageJudge, amount: int) -> Iterator[Tagged]:
    """Judge as many inputs of every kind, out of some batches."""
    trace = _Trace()
    for _ in range(3):
        with trace.on():
            batch = source.batch()
        kinds: dict[str, list[MadeInput]] = defaultdict(list)
        for made in batch:
            kinds[made.kind].append(made)
        chosen: list[MadeInput] = []
        share = -(-amount // 3)
        while kinds and len(chosen) < share:
            for kind in list(kinds):
                chosen.append(kinds[kind].pop(0))
                if not kinds[kind]:
                    del kinds[kind]
        judged = [_judged(part, f"{made.kind}: {made.detail}", made.data, set(), judge) for made in chosen]
        source.heard(chosen, [each.why in ("", "contested") for each in judged])
        yield from judged


def _climbed(climb: HillClimb, judge: PackageJudge, amounts: Amounts) -> Iterator[Tagged]:
    allowance = SearchBudget(judge, amounts.climb_s, 10**6, time.monotonic)
    slow = [each for each in judge.problem.wrong if each.expected == "time_limit_exceeded"]
    for find in islice(climb.finds(slow, allowance), amounts.climbed):
        yield _judged("climb", find.made.detail, find.made.data, set(), judge)


def _judged(part: str, detail: str, data: bytes, seen: Iterable[str], judge: PackageJudge) -> Tagged:
    found = judge.judged(data)
    style = style_of(detail)
    tags = {f"part {part}", *(f"function {each}" for each in seen)}
    if part in ("mutate", "again"):
        tags |= {f"stream {stream_of(style)}", f"way {_plain(style)}"}
    elif part == "small":
        kind, _, rest = detail.partition(": ")
        tags |= {f"small {kind}", f"way {_plain(style_of(rest))}"}
    elif part == "climb":
        tags |= {f"step {_plain(each)}" for each in style.split("; ")}
    return Tagged(part, detail, len(data), frozenset(tags), found.why, found.kills)


def _plain(text: str) -> str:
    """Leave names and numbers out of what was done."""
    text = re.sub(r"^list (?:[a-z]|field \d+) ", "list ", text)
    text = re.sub(r"(?:\b[a-z]|field \d+)(?:\[\d+\])?: .* -> .*", "a value set", text)
    text = re.sub(r"\d+", "#", text)
    return text[:60]


# -- switches ------------------------------------------------------------------------------------------

Patches = Sequence[tuple[str, Callable[..., Any]]]


def _always(found: object) -> Callable[..., Any]:
    return lambda *arguments, **named: found


def _changed(name: str, change: Callable[[Any], Any]) -> Patches:
    """Return what changes the answer of a function of learn/knowledge."""
    before = getattr(import_module(f"{_GENERATORS}learn.knowledge"), name)
    return [(f"learn.knowledge:{name}", lambda *arguments, **named: change(before(*arguments, **named)))]


def _without(kind: RuleKind) -> Patches:
    return _changed("prior_beliefs", lambda found: {rule: share for rule, share in found.items() if rule.kind != kind})


def _hints(programs: Any) -> Hints:
    return Hints(known=bool(programs))


SWITCHES: dict[str, Callable[[], Patches]] = {
    "learn/statement": lambda: [("learn.knowledge:_told", _always(()))],
    "learn/validator_text": lambda: [("learn.knowledge:_hints", _hints)],
    "statement and validators": lambda: [
        ("learn.knowledge:_told", _always(())),
        ("learn.knowledge:_hints", _hints),
    ],
    "hints: vocabularies": lambda: _changed("_hints", lambda hints: replace(hints, vocabularies=())),
    "learn/refusals": lambda: [("mutate:learn_from_refusals", lambda problem, knowledge, *others: knowledge)],
    "learn/find_rules": lambda: [("learn.knowledge:find_rules", _always({}))],
    "learn/edges": lambda: [("learn.knowledge:find_edges", _always(()))],
    "learn/relations": lambda: [("learn.observe:find_relations", _always(()))],
    "caps by other names": lambda: [("learn.bounds:_cap", _always(None))],
    "choices by keyword": lambda: [("learn.guess:_choice", _always(None))],
    "draw/decimals": lambda: [("draw.fill:draw_decimals", _plain_decimals)],
    **{f"rule {kind.name}": partial(_without, kind) for kind in RuleKind},
}


def _plain_decimals(count: int, limits: Any, decimals: int, where: Any, how: Any, rng: random.Random) -> list[int]:
    values = import_module(f"{_GENERATORS}draw.values")
    bounds = (bound * 10**decimals for bound in (limits.low, limits.high, limits.seen_low, limits.seen_high))
    drawn: list[int] = values.draw_numbers(count, values.DrawLimits(*bounds), where, how, rng)
    return drawn


@contextmanager
def switched(name: str) -> Iterator[None]:
    """Leave a rule out."""
    with ExitStack() as stack:
        for place, instead in SWITCHES[name]():
            module, _, attribute = place.partition(":")
            *owners, last = attribute.split(".")
            owner: Any = import_module(_GENERATORS + module)
            for each in owners:
                owner = getattr(owner, each)
            stack.enter_context(patch.object(owner, last, instead))
        import_module(f"{_GENERATORS}learn.knowledge")._shape.cache_clear()
        yield
    import_module(f"{_GENERATORS}learn.knowledge")._shape.cache_clear()
