"""Proposal batches: inputs that the generators of one problem propose, in batches.

Decides how many inputs each generator is asked for, and when it has no more. A generator is asked only for what a batch
needs. Each batch is stored at once, so a killed run resumes within it. It gets the same inputs again if the generators
are deterministic.
"""

import math
import random
import time
import zlib
from collections.abc import Iterator, Sequence
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
from balancer.pipeline.results.problem_log import CaseState, GeneratorBatch, ProblemLog, ProposalBatch
from balancer.pipeline.results.problem_result import NO_VALIDATOR
from balancer.pipeline.round.acts import Propose
from balancer.pipeline.round.known import feedback_before
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.toolbox import SampleToolbox
from balancer.problem import FEWEST_AGREEING, Origin, Problem, Proposal

__all__ = ["ProposalBatches", "batch_size"]

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
_FIRST_BATCH = 12  # of a problem: nothing is known of what is refused, and many may be refused for the same reason

_END = Proposal(b"", Origin("", ""))  # at the end of a stream
_CHECKED = (CaseState.VALID, CaseState.READY, CaseState.CONTESTED, CaseState.INVALID)


@dataclass(slots=True, eq=False)
class _Source:
    """A generator in one round: its counts so far, and its stream of inputs."""

    generator: Generator
    equipped: bool  # may run programs, and has none of the problem's own data
    toolbox: SampleToolbox
    pulled: int = 0
    made_up: int = 0
    dry: bool = False
    stream: Iterator[Proposal] | None = None

    @property
    def askable(self) -> AskableAgain | None:
        return self.generator if isinstance(self.generator, AskableAgain) else None

    @property
    def refines(self) -> bool:
        return hasattr(self.generator, "refine")

    @property
    def whole(self) -> bool:
        """Whether it is asked once a round, for all that it has, as those that run programs or ask a model."""
        return self.equipped and self.askable is None


class ProposalBatches:
    """Asks the generators of one problem, in this session.

    Args:
        sample: the problem.
        toolbox: for generators that need one.
    """

    def __init__(self, sample: Sample, toolbox: SampleToolbox) -> None:
        self._sample = sample
        self._toolbox = toolbox
        self._generators: list[_Source] = []
        for each in sample.generators:
            its = toolbox.for_another()
            equipped = isinstance(each, EquippedGenerator)
            made: Generator = each.equip(its) if isinstance(each, EquippedGenerator) else each
            if _suits(made, sample.problem, toolbox):
                self._generators.append(_Source(made, equipped, its))
        self._known: set[bytes] = set()
        self._round = -1
        self._sources: list[_Source] = []
        self._feedback: Feedback | None = None
        self._batch = 0
        self._room, self._until_s = 0, 0.0  # left for a batch: bytes; and seconds of the budget that others need

    @property
    def can_refine(self) -> bool:
        """Whether a generator can be asked for inputs of later rounds."""
        return any(each.refines for each in self._generators)

    def ask(self, act: Propose) -> bool:
        """Store a batch of a round: its first one, or a further one that has inputs. Return whether there are inputs.

        Raises:
            PutOff: a generator cannot propose now; nothing is stored.
            Stopped: the run was stopped; nothing is stored.
        """
        number, log = act.number, self._sample.log
        if self._round != number or act.replaced is not None:
            self._enter(number)
        if act.replaced is not None:
            batch = self._ask(act.wanted)
            log.propose(number, batch, act.replaced if batch.proposals else ())
            return bool(batch.proposals)
        for _ in range(_MOST_IN_VAIN):
            if self._sample.clock.over or all(source.dry for source in self._sources):
                break
            batch = self._ask(act.wanted)
            log.propose(number, batch)
            if batch.proposals:
                return True
        return False

    def _enter(self, number: int) -> None:
        log = self._sample.log
        self._round = number
        self._known = {sha256(case.data).digest() for case in log.cases()}
        self._feedback = feedback_before(self._sample.known, number) if number else None
        self._sources = [replace(each) for each in self._generators if not number or each.refines]
        batches = log.batches(number)
        self._batch = len(batches)
        for source in self._sources:
            for asked in (batch[source.generator.name] for batch in batches if source.generator.name in batch):
                source.pulled += asked.pulled
                source.made_up += asked.made_up
                source.dry = source.dry or asked.dry

    def _ask(self, wanted: int) -> ProposalBatch:
        """Ask for the problem's own data first, then every generator for its share. Return the new inputs."""
        sample, first = self._sample, not self._batch and not self._round
        notes = list(sample.problem.notes) if first else []
        self._room, self._until_s = _MOST_BYTES, 0.0 if self._round else _LATER * sample.clock.left_s
        self._toolbox.now("making inputs for")
        asked: dict[str, GeneratorBatch] = {}
        given = []
        if first:  # generators with only the problem's own data get no share
            recipes = wanted <= 0 and bool(sample.problem.recipes)
            given = [self._taken(each, 0, asked) for each in self._sources if not each.equipped or recipes]
        for source, share in zip(self._sources, self._shares(wanted), strict=True):
            if share and not source.dry:
                given.append(self._taken(source, share, asked))
        self._batch += 1
        notes += self._toolbox.taken_notes()
        new, large = self._new(given)
        if large:
            notes.append(f"{large} proposed inputs of more than {_MOST_INPUT // 2**20} MiB were not used")
        return ProposalBatch(self._usable(new, notes), notes, asked)

    def _shares(self, wanted: int) -> list[int]:
        """Return how many inputs each generator is asked for: parts of a batch that are alike, or all that it has."""
        if wanted <= 0:
            return [0] * len(self._sources)
        size = batch_size(wanted) if self._batch or self._round else min(batch_size(wanted), _FIRST_BATCH)
        share = math.ceil(size / max(1, sum(not (source.whole or source.dry) for source in self._sources)))
        everything = min(_MOST_PROPOSALS, max(_MOST_WHOLE, 2 * wanted))
        return [
            everything if source.whole else min(share, _MOST_PROPOSALS - source.made_up) for source in self._sources
        ]

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

    # -- a generator ---------------------------------------------------------------------------------

    def _taken(self, source: _Source, share: int, asked: dict[str, GeneratorBatch]) -> list[Proposal]:
        """Return what a generator gives for its share, and record it. What one gave before it failed counts."""
        found: list[Proposal] = []
        began_s, cpu_s = time.monotonic(), source.toolbox.cpu_s
        try:
            found.extend(self._pulled(source, share))
        except (PutOff, Stopped):
            raise
        except Exception as error:  # a generator is a plugin: the others, and the other problems, continue
            self._toolbox.note(f"generator {source.generator.name!r} failed: {type(error).__name__}: {error}")
            source.dry = True
        made_up = sum(not each.sample for each in found)
        source.pulled += len(found)
        source.made_up += made_up
        source.dry = source.dry or source.made_up >= _MOST_PROPOSALS
        name, before = source.generator.name, asked.get(source.generator.name, GeneratorBatch())
        asked[name] = GeneratorBatch(
            before.pulled + len(found),
            before.made_up + made_up,
            before.seconds + time.monotonic() - began_s,
            source.dry,
            before.cpu_s + source.toolbox.cpu_s - cpu_s,
        )
        return found

    def _pulled(self, source: _Source, share: int) -> Iterator[Proposal]:
        """Yield `share` made-up inputs, and the problem's own data before them, while there is room."""
        clock, stream, left = self._sample.clock, self._stream(source, share), share
        most_s = min(math.inf if source.whole else _MOST_S, _PART * clock.left_s)
        began_s = time.monotonic()
        while left > 0 or not share:
            if self._sample.runner.stopping:
                raise Stopped
            if self._room <= 0 or clock.over or clock.left_s < self._until_s:
                return
            if time.monotonic() - began_s > most_s:
                # With a budget, one that found nothing in its part of the time is not asked again in this round.
                source.dry = self._sample.known.timed and 0 < share == left
                return
            proposal = next(stream, _END)
            if proposal is _END:
                # A generator that can be asked again is dry only if it gives nothing at all.
                source.dry = source.askable is None or left == share
                return
            if not isinstance(proposal, Proposal):
                what = f"{ascii(proposal)[:60]} ({type(proposal).__name__})"
                raise TypeError(f"it yielded {what}; it must yield a Proposal")
            if left <= 0 and not proposal.sample:
                source.stream = chain([proposal], stream)
                return
            left -= not proposal.sample
            self._room -= len(proposal.data)
            yield proposal

    def _stream(self, source: _Source, share: int) -> Iterator[Proposal]:
        generator, problem = source.generator, self._sample.problem
        again = source.askable if self._batch else None
        if source.stream is None:  # it may keep some of the feedback
            most = max(share, 1) if source.whole else _MOST_PROPOSALS
            if self._feedback is None:
                budget = len(problem.data) + most
                source.stream = iter(generator.propose(problem, self._rng(generator), budget))
            else:
                refine = generator.refine  # type: ignore[attr-defined]  # the able have it
                source.stream = iter(refine(problem, self._feedback, self._rng(generator), most))
            # Skip the inputs that an earlier session has taken.
            for _ in islice(source.stream, 0 if again else source.pulled):
                if self._sample.runner.stopping:
                    raise Stopped
        if again is None:
            return source.stream
        heard, rng = _heard(self._sample.log, self._round), self._rng(generator, f"+{self._batch}")
        return islice(again.ask_again(problem, heard, rng, share), share)

    def _rng(self, generator: Generator, suffix: str = "") -> random.Random:
        """Return a random generator for one question. It does not depend on how much other generators draw."""
        settings, problem = self._sample.settings, self._sample.problem
        round_ = f"/{self._round}" if self._round else ""
        return random.Random(zlib.crc32(f"{settings.seed}/{problem.id}/{generator.name}{round_}{suffix}".encode()))


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
