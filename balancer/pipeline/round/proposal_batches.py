"""Proposal batches: inputs that the generators of one problem propose, in batches.

Decides how many inputs each generator is asked for, and when it has no more. A generator is asked only for what a batch
needs. Each batch is stored at once, so a killed run resumes within it. It gets the same inputs again if the generators
are deterministic.
"""

import math
import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, islice, zip_longest

from balancer.hookspecs import Generator
from balancer.judging.runner import Stopped
from balancer.pipeline.proposing import (
    AskableAgain,
    EquippedGenerator,
    Feedback,
    ForSomeProblems,
    PutOff,
    UnusedInput,
    ValidatorFeedback,
)
from balancer.pipeline.results.problem_log import GeneratorBatch, ProblemLog, ProposalBatch
from balancer.pipeline.results.problem_result import NO_VALIDATOR
from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.round.acts import Propose
from balancer.pipeline.round.known import feedback_before
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.toolbox import SampleToolbox
from balancer.problem import FEWEST_AGREEING, Origin, Problem, Proposal

__all__ = ["GeneratorRecord", "ProposalBatches", "batch_size", "shares"]

_MOST_PROPOSALS = 600  # of a generator in one round
_MOST_BYTES = 64 * 2**20  # of a batch's inputs, which are in memory together
_MOST_INPUT = 32 * 2**20
_MOST_S = 10.0  # seconds for a generator in one batch; it continues in the next
_PART = 0.2  # and, with a time budget, share of the time left
_LATER = 0.5  # share of the time left that a batch of the first round leaves to checks and runs
_MOST_WHOLE = 60  # inputs of a generator that is asked once a round, unless more are wanted
_MOST_IN_VAIN = 5  # batches in a row without a new input
_MARGIN = 1.5  # asked for each wanted input, because some are invalid
_LEAST_BATCH, _MOST_BATCH = 8, 64  # limits of a batch: small, so that the next one can use its results
_EXPLORED = 0.2  # share of a batch that is divided equally
_FIRST_BATCH = 12  # of a problem: nothing is known of what is refused, and many may be refused for the same reason

_END = Proposal(b"", Origin("", ""))  # at the end of a stream
_CHECKED = (CaseState.VALID, CaseState.READY, CaseState.CONTESTED, CaseState.INVALID)


@dataclass(slots=True, eq=False)
class _Source:
    """A generator in one round: its counts so far, and its stream of inputs."""

    generator: Generator
    equipped: bool  # may run programs, and has none of the problem's own data
    whole: bool  # asked once a round, for all that it has
    toolbox: SampleToolbox
    pulled: int = 0
    made_up: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    dry: bool = False
    stream: Iterator[Proposal] | None = None


@dataclass(slots=True)
class _Room:
    """What is left for a batch: bytes of its inputs, and seconds of the budget that others need after it."""

    left: int
    until_s: float


@dataclass(frozen=True, slots=True)
class GeneratorRecord:
    """A generator's inputs so far: how many were checked and how many are valid; and how many more it may give."""

    checked: int
    valid: int
    left: int


class ProposalBatches:
    """Asks the generators of one problem, in this session.

    Args:
        sample: the problem.
        toolbox: for generators that need one.
    """

    def __init__(self, sample: Sample, toolbox: SampleToolbox) -> None:
        self._sample = sample
        self._toolbox = toolbox
        self._generators: list[tuple[Generator, bool, bool, SampleToolbox]] = []
        for each in sample.generators:
            its = toolbox.for_another()
            equipped = isinstance(each, EquippedGenerator)
            made: Generator = each.equip(its) if isinstance(each, EquippedGenerator) else each
            if not _suits(made, sample.problem, toolbox):
                continue
            # Generators that run programs or ask a model answer as a whole, unless they say otherwise.
            self._generators.append((made, equipped, equipped and not isinstance(made, AskableAgain), its))
        self._known = {sha256(case.data).digest() for case in sample.log.cases()}
        self._round = -1
        self._sources: list[_Source] = []
        self._feedback: Feedback | None = None
        self._batch = 0

    @property
    def can_refine(self) -> bool:
        """Whether a generator can be asked for inputs of later rounds."""
        return bool(self._able(1))

    def ask(self, act: Propose) -> bool:
        """Store a batch of a round: its first one, or a further one that has inputs. Return whether there are inputs.

        Raises:
            PutOff: a generator cannot propose now; nothing is stored.
            Stopped: the run was stopped; nothing is stored.
        """
        number, log = act.number, self._sample.log
        if self._round != number or act.replaced is not None:
            self._enter(number, feedback_before(self._sample.known, number) if number else None)
        if act.replaced is not None:
            batch = self._ask(act.wanted)
            log.propose(number, batch, act.replaced if batch.proposals else ())
            return bool(batch.proposals)
        for _ in range(_MOST_IN_VAIN):
            if self._sample.over or all(source.dry for source in self._sources):
                break
            batch = self._ask(act.wanted)
            log.propose(number, batch)
            if batch.proposals:
                return True
        return False

    def _able(self, number: int) -> list[_Source]:
        return [_Source(*each) for each in self._generators if not number or hasattr(each[0], "refine")]

    def _enter(self, number: int, feedback: Feedback | None) -> None:
        self._round = number
        self._feedback = feedback
        self._sources = self._able(number)
        for source in self._sources:
            source.toolbox.round = number
        batches = self._sample.log.batches(number)
        self._batch = len(batches)
        for source in self._sources:
            for asked in (batch[source.generator.name] for batch in batches if source.generator.name in batch):
                source.pulled += asked.pulled
                source.made_up += asked.made_up
                source.dry = source.dry or asked.dry

    def _ask(self, wanted: int) -> ProposalBatch:
        """Ask every generator for its share of a batch. Return the new inputs as a batch."""
        notes: list[str] = [] if self._batch or self._round else list(self._sample.problem.notes)
        before = [replace(source) for source in self._sources]
        given = self._asked_in_turn(wanted)
        self._batch += 1
        notes += self._toolbox.taken_notes()
        new, large = self._new(given)
        if large:
            notes.append(f"{large} proposed inputs of more than {_MOST_INPUT // 2**20} MiB were not used")
        usable = self._usable(new, notes)
        asked = {
            then.generator.name: GeneratorBatch(
                now.pulled - then.pulled,
                now.made_up - then.made_up,
                now.seconds - then.seconds,
                now.dry,
                now.cpu_s - then.cpu_s,
            )
            for then, now in zip(before, self._sources, strict=True)
            if not then.dry
        }
        return ProposalBatch(usable, notes, asked)

    def _asked_in_turn(self, wanted: int) -> list[list[Proposal]]:
        """Ask for the problem's own data first, then each generator for its share. Return the inputs of each."""
        room = _Room(_MOST_BYTES, 0.0 if self._round else _LATER * self._sample.left_s)
        self._toolbox.now("making inputs for")
        given = []
        if not self._batch and not self._round:  # generators with only the problem's own data get no share
            given = [self._taken(each, 0, room, 0) for each in self._sources if not each.equipped]
        for source, share in zip(self._sources, self._shares(wanted), strict=True):
            if share and not source.dry:
                given.append(self._taken(source, share, room, self._batch))
        return given

    def _taken(self, source: _Source, share: int, room: _Room, batch: int) -> list[Proposal]:
        """Return what a generator gives for its share. What one gave before it failed counts."""
        found: list[Proposal] = []
        began_s, before_s = time.monotonic(), source.toolbox.cpu_s
        try:
            found.extend(self._pulled(source, share, room, batch))
        except (PutOff, Stopped):
            raise
        except Exception as error:  # a generator is a plugin: the others, and the other problems, continue
            self._toolbox.note(f"generator {source.generator.name!r} failed: {type(error).__name__}: {error}")
            source.dry = True
        finally:
            source.seconds += time.monotonic() - began_s
            source.cpu_s += source.toolbox.cpu_s - before_s
        source.dry = source.dry or source.made_up >= _MOST_PROPOSALS
        return found

    def _usable(self, new: list[Proposal], notes: list[str]) -> list[Proposal]:
        """Return the proposals whose validity can be decided.

        If that is none of the made-up ones, all generators are dry.
        """
        problem = self._sample.problem
        if self._sample.known.tellable():
            if problem.packaged and not problem.input_validators and self._batch == 1 and not self._round:
                right = len(self._sample.known.jury)
                notes.append(f"{NO_VALIDATOR}: made-up inputs count if all {right} accepted ones agree")
            return new
        own = [proposal for proposal in new if proposal.sample]
        if len(own) < len(new):
            few = f"{NO_VALIDATOR}, and fewer than {FEWEST_AGREEING} accepted ones to agree"
            has = "no input validator works" if problem.input_validators else few
            notes.append(f"{has}, so no made-up input is used")
        for source in self._sources:
            source.dry = True
        return own

    def _new(self, given: Sequence[Sequence[Proposal]]) -> tuple[list[Proposal], int]:
        """Return the new proposals, the problem's own first, and the number of those that are too large."""
        in_turn = [each for turn in zip_longest(*given) for each in turn if each is not None]
        large = sum(len(each.data) > _MOST_INPUT and not each.sample for each in in_turn)
        found: list[Proposal] = []
        for each in sorted(in_turn, key=lambda proposal: not proposal.sample):
            digest = sha256(each.data).digest()
            if digest not in self._known and (each.sample or len(each.data) <= _MOST_INPUT):
                self._known.add(digest)
                found.append(each)
        return found, large

    def _shares(self, wanted: int) -> list[int]:
        if wanted <= 0:
            return [0] * len(self._sources)
        size = batch_size(wanted) if self._batch or self._round else min(batch_size(wanted), _FIRST_BATCH)
        everything = min(_MOST_PROPOSALS, max(_MOST_WHOLE, 2 * wanted))
        found = zip(self._sources, shares(size, self._records()), strict=True)
        return [everything if source.whole else share for source, share in found]

    def _records(self) -> list[GeneratorRecord]:
        """Return the record of each source."""
        checked = [c for c in self._sample.log.cases(*_CHECKED) if c.round == self._round and not c.sample]
        records = []
        for source in self._sources:
            states = [case.state for case in checked if case.origin.generator == source.generator.name]
            left = 0 if source.dry or source.whole else _MOST_PROPOSALS - source.made_up
            records.append(GeneratorRecord(len(states), sum(s is not CaseState.INVALID for s in states), left))
        return records

    # -- a generator ---------------------------------------------------------------------------------

    def _pulled(self, source: _Source, share: int, room: _Room, batch: int) -> Iterator[Proposal]:
        """Yield `share` made-up inputs, and the problem's own data before them, while there is room."""
        stream, left = self._stream(source, share, batch), share
        most_s = min(math.inf if source.whole else _MOST_S, _PART * self._sample.left_s)
        began_s = time.monotonic()
        while True:
            if self._sample.runner.stopping:
                raise Stopped
            if left <= 0 and share:
                return
            if room.left <= 0 or self._sample.over or self._sample.left_s < room.until_s:
                return
            if time.monotonic() - began_s > most_s:
                # With a budget, one that found nothing in its part of the time is not asked again in this round.
                source.dry = self._sample.allowed_s is not None and 0 < share == left
                return
            proposal = next(stream, _END)
            if proposal is _END:
                # A generator that can be asked again is dry only if it gives nothing at all.
                source.dry = not isinstance(source.generator, AskableAgain) or left == share
                return
            if not isinstance(proposal, Proposal):
                what = f"{ascii(proposal)[:60]} ({type(proposal).__name__})"
                raise TypeError(f"it yielded {what}; it must yield a Proposal")
            if left <= 0 and not proposal.sample:
                source.stream = chain([proposal], stream)
                return
            source.pulled += 1
            source.made_up += not proposal.sample
            left -= not proposal.sample
            room.left -= len(proposal.data)
            yield proposal

    def _stream(self, source: _Source, share: int, batch: int) -> Iterator[Proposal]:
        generator, problem = source.generator, self._sample.problem
        most = max(share, 1) if source.whole else _MOST_PROPOSALS
        askable = generator if batch and isinstance(generator, AskableAgain) else None
        continued = askable is None or (batch == 1 and not self._round and source.pulled > 0 and not source.equipped)
        first = source.stream or ()
        if source.stream is None and (continued or self._feedback is not None):  # it may keep some of what it is told
            first = source.stream = iter(self._first(generator, problem, most)(self._rng(generator)))
            # Skip the inputs that an earlier session has taken.
            for _ in islice(first, source.pulled * continued):
                if self._sample.runner.stopping:
                    raise Stopped
        if askable is None:
            return iter(first)
        again = islice(
            askable.ask_again(problem, _heard(self._sample.log, self._round), self._rng(generator, f"+{batch}"), share),
            share,
        )
        # The first batch is small. Who learns nothing from it goes on as it began, once.
        return islice(chain(again, first), share) if continued else again

    def _first(
        self, generator: Generator, problem: Problem, most: int
    ) -> Callable[[random.Random], Iterable[Proposal]]:
        if self._feedback is None:
            return lambda rng: generator.propose(problem, rng, len(problem.data) + most)
        feedback = self._feedback
        return lambda rng: generator.refine(problem, feedback, rng, most)  # type: ignore[attr-defined]  # the able have it

    def _rng(self, generator: Generator, suffix: str = "") -> random.Random:
        """Return a random generator for one question. It does not depend on how much other generators draw."""
        settings, problem = self._sample.settings, self._sample.problem
        round_ = f"/{self._round}" if self._round else ""
        return random.Random(zlib.crc32(f"{settings.seed}/{problem.id}/{generator.name}{round_}{suffix}".encode()))


def shares(size: int, records: Sequence[GeneratorRecord]) -> list[int]:
    """Return how many of `size` inputs each generator is asked for: at least one, if it has some left.

    A fifth is shared equally, so that an unlucky generator is tried again. The rest is shared by each one's rate of
    valid inputs (Laplace's rule of succession: a generator without inputs has the rate one half).
    """
    able = [record.left > 0 for record in records]
    if not any(able):
        return [0] * len(records)
    yields = [fit * (record.valid + 1) / (record.checked + 2) for record, fit in zip(records, able, strict=True)]
    alike = _EXPLORED / sum(able)
    parts = [fit * (alike + (1 - _EXPLORED) * rate / sum(yields)) for rate, fit in zip(yields, able, strict=True)]
    found = [
        min(record.left, max(1, math.floor(size * part))) if fit else 0
        for record, part, fit in zip(records, parts, able, strict=True)
    ]
    # The ones that each has at least come from the largest shares.
    for place in sorted(range(len(records)), key=lambda i: (-found[i], i)):
        found[place] -= max(0, min(sum(found) - max(size, sum(able)), found[place] - 1))
    # The remainder from rounding goes to the largest parts.
    for place in sorted(range(len(records)), key=lambda i: (-parts[i], i)):
        found[place] += max(0, min(size - sum(found), records[place].left - found[place]))
    return found


def batch_size(wanted: int) -> int:
    """Return the number of inputs to ask for, if `wanted` more valid ones are needed."""
    return min(_MOST_BATCH, max(_LEAST_BATCH, math.ceil(_MARGIN * wanted)))


def _heard(log: ProblemLog, number: int) -> ValidatorFeedback:
    """Return what the validators have said of the inputs of a round, and of refused ones before."""
    valid: list[UnusedInput] = []
    refused: list[UnusedInput] = []
    for case in log.cases(*_CHECKED):
        if case.sample or (case.round != number and case.state is not CaseState.INVALID):
            continue
        heard = UnusedInput(case.origin, case.data, case.note)
        (refused if case.state is CaseState.INVALID else valid).append(heard)
    return ValidatorFeedback(tuple(valid), tuple(refused))


def _suits(made: Generator, problem: Problem, toolbox: SampleToolbox) -> bool:
    if not isinstance(made, ForSomeProblems):
        return True
    try:
        return made.suits(problem)
    except Exception as error:  # a generator is a plugin: the others, and the other problems, continue
        toolbox.note(f"generator {type(made).__name__} failed: {type(error).__name__}: {error}")
        return False
