"""Proposal batches: inputs that the generators of one problem propose, in batches.

Decides how many inputs each generator is asked for, and when it has no more. A generator is asked only for what a batch
needs. Each batch is stored at once, so a killed run resumes within it. It gets the same inputs again if the generators
are deterministic.
"""

import math
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain, islice, zip_longest

from balancer.hookspecs import Generator
from balancer.judging.runner import Stopped
from balancer.pipeline.proposing import (
    AskableAgain,
    AskedLater,
    EquippedGenerator,
    Feedback,
    ForSomeProblems,
    PutOff,
    UnusedInput,
    ValidatorFeedback,
)
from balancer.pipeline.results.problem_result import NO_VALIDATOR
from balancer.pipeline.results.rounds import GeneratorBatch, ProposalBatch
from balancer.pipeline.results.run_result import CaseState
from balancer.pipeline.round.bandit import AIMED, GeneratorRecord, discounted, search_part, shares
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.toolbox import SampleToolbox
from balancer.problem import FEWEST_AGREEING, Origin, Problem, Proposal

__all__ = ["ProposalBatches", "batch_size"]

_MOST_BYTES = 64 * 2**20  # of a batch's inputs, which are in memory together
_MOST_INPUT = 32 * 2**20
_MOST_S = 10.0  # seconds for a generator in one batch; it continues in the next
_LATER = 0.5  # share of the time left that a batch of the first round leaves to checks and runs
_MOST_WHOLE = 60  # inputs of a generator that is asked once a round, unless more are wanted
_MOST_IN_VAIN = 5  # batches in a row without a new input
_MARGIN = 1.5  # asked for each wanted input, because some are invalid
_LEAST_BATCH, _MOST_BATCH = 8, 64  # limits of a batch: small, so that the next one can use its results
_FIRST_BATCH = 12  # of a problem: nothing is known of what is refused, and many may be refused for the same reason

_PATIENCE = 0.01  # share of a time budget after which a batch of the first round does without those still at work

_LOOK_S = 0.05  # between two looks at what generators at work have brought

_END = Proposal(b"", Origin("", ""))  # at the end of a stream
_CHECKED = (CaseState.VALID, CaseState.READY, CaseState.CONTESTED, CaseState.INVALID)


@dataclass(slots=True, eq=False)
class _Source:
    """A generator in one round: its counts so far, and its stream of inputs.

    `handed`, `handed_made_up`: inputs of this session that are in a batch. Others are still with its turn.
    """

    generator: Generator
    equipped: bool  # may run programs, and has none of the problem's own data
    whole: bool  # asked once a round, for all that it has
    toolbox: SampleToolbox
    pulled: int = 0
    made_up: int = 0
    handed: int = 0
    handed_made_up: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    dry: bool = False
    stream: Iterator[Proposal | None] | None = None


@dataclass(slots=True)
class _Room:
    """What is left for a batch: bytes of its inputs, and seconds of the budget that others need after it."""

    left: int
    until_s: float


@dataclass(slots=True, eq=False)
class _Turn:
    """A generator that gives its share: its stream, the inputs since the last batch, its seconds, and whether it ended.

    Others may take the inputs while it gives more.
    """

    source: _Source
    stream: Iterator[Proposal | None]
    found: list[Proposal] = field(default_factory=list)
    seconds: float = 0.0
    over: bool = False

    def hand_over(self) -> list[Proposal]:
        """Remove and return the inputs so far."""
        given = self.found.copy()
        del self.found[: len(given)]
        self.source.handed += len(given)
        self.source.handed_made_up += sum(not each.sample for each in given)
        return given


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
            if not self._suits(made):
                continue
            # Generators that run programs or ask a model answer as a whole, unless they say otherwise.
            self._generators.append((made, equipped, equipped and not isinstance(made, AskableAgain), its))
        self._known: set[bytes] | None = None
        self._round = -1
        self._sources: list[_Source] = []
        self._feedback: Feedback | None = None
        self._batch = 0
        self._told: list[_Source] = []  # the sources as they were in the last batch
        self._turns: list[_Turn] = []  # under way, or with inputs that are in no batch
        self._waiting: list[_Turn] = []  # of these, those that nobody takes from now
        self._takers: list[Future[None]] = []  # threads that take from turns, with a time budget
        self._closed = False
        self._lock = threading.Lock()

    def _suits(self, made: Generator) -> bool:
        if not isinstance(made, ForSomeProblems):
            return True
        try:
            return made.suits(self._sample.problem)
        except Exception as error:  # a generator is a plugin: the others, and the other problems, continue
            self._toolbox.note(f"generator {type(made).__name__} failed: {type(error).__name__}: {error}")
            return False

    def can(self, number: int) -> bool:
        """Return whether a generator can be asked for inputs of round `number`."""
        return bool(self._able(number))

    def begin(self, number: int, wanted: int, feedback: Feedback | None, replaced: Callable[[], Sequence[int]]) -> bool:
        """Store the first batch of round `number`. Return whether it has inputs.

        Args:
            number: of the round.
            wanted: valid inputs beyond the problem's own.
            feedback: on earlier rounds; None before the first round.
            replaced: returns the cases to take out, if there are new inputs.

        Raises:
            PutOff: a generator cannot propose now; nothing is stored.
            Stopped: the run was stopped; nothing is stored.
        """
        self._enter(number, feedback)
        batch = self._ask(wanted)
        some = bool(batch.proposals)
        replaces = replaced() if number and some else ()
        self._sample.store.rounds.begin(self._sample.problem.id, number, batch, replaces)
        return some

    def go_on(self, number: int, wanted: int, feedback: Callable[[], Feedback | None]) -> bool:
        """Store a further batch of round `number`, which has begun. Return False if there are no more inputs."""
        if self._round != number:
            self._enter(number, feedback())
        for _ in range(_MOST_IN_VAIN):
            if self._sample.over or (all(source.dry for source in self._sources) and not self._turns):
                return False
            try:
                batch = self._ask(wanted)
            except PutOff as error:
                self._sample.store.rounds.put_off(self._sample.problem.id, f"{error}; run again to go on")
                return False
            self._sample.store.rounds.go_on(self._sample.problem.id, number, batch)
            if batch.proposals:
                return True
        return False

    @property
    def at_work(self) -> bool:
        """Whether a generator is still at work on its share of an earlier batch."""
        return any(not turn.over for turn in self._turns)

    def close(self) -> None:
        """Have no generator at work any more. What they still find is not used: no run may begin after the budget."""
        self._closed = True
        self._wait_no_longer()
        wait(self._takers)
        try:
            self._forget_takers()
        except PutOff as error:
            self._sample.store.rounds.put_off(self._sample.problem.id, f"{error}; run again to go on")

    def tellable(self) -> bool:
        """Return whether the validity of made-up inputs can be decided, by validators or by agreement."""
        problem = self._sample.problem
        agree = len(self._sample.usable(accepted=True)) >= FEWEST_AGREEING or not problem.packaged
        return bool(self._sample.validators.programs()) or (problem.by_agreement and agree)

    # -- a round -------------------------------------------------------------------------------------

    def _able(self, number: int) -> list[_Source]:
        return [_Source(*each) for each in self._generators if not number or hasattr(each[0], "refine")]

    def _wait_no_longer(self) -> None:
        """End the turns that nobody takes from now."""
        with self._lock:
            for turn in self._waiting:
                turn.over = True
            self._waiting.clear()

    def _enter(self, number: int, feedback: Feedback | None) -> None:
        self._wait_no_longer()  # an earlier round's questions are not asked in this one
        self._round = number
        self._toolbox.found.clear()
        self._feedback = feedback
        self._sources = self._able(number)
        for source in self._sources:
            source.toolbox.round = number
        batches = self._sample.store.rounds.batches(self._sample.problem.id, number)
        self._batch = len(batches)
        for source in self._sources:
            for asked in (batch[source.generator.name] for batch in batches if source.generator.name in batch):
                source.pulled += asked.pulled
                source.made_up += asked.made_up
                source.dry = source.dry or asked.dry
        self._told = [replace(source) for source in self._sources]

    def _ask(self, wanted: int) -> ProposalBatch:
        """Ask every generator for its share of a batch. Return the new inputs as a batch."""
        notes: list[str] = [] if self._batch or self._round else list(self._sample.problem.notes)
        before = self._told
        given = self._asked_in_turn(wanted)
        self._batch += 1
        notes += self._toolbox.taken_notes()
        new, large = self._new(given)
        if large:
            notes.append(f"{large} proposed inputs of more than {_MOST_INPUT // 2**20} MiB were not used")
        usable = self._usable(new, notes)
        at_work = [turn.source for turn in self._turns]
        self._told = [replace(each, dry=each.dry and each not in at_work) for each in self._sources]
        asked = {
            then.generator.name: GeneratorBatch(
                now.handed - then.handed,
                now.handed_made_up - then.handed_made_up,
                now.seconds - then.seconds,
                now.dry,
                now.cpu_s - then.cpu_s,
            )
            for then, now in zip(before, self._told, strict=True)
            if not then.dry
        }
        return ProposalBatch(usable, notes, asked, self._sample.clock.elapsed_s)

    def _asked_in_turn(self, wanted: int) -> list[list[Proposal]]:
        """Ask for the problem's own data first, then each generator for its share. Return the inputs of each."""
        room = _Room(_MOST_BYTES, 0.0 if self._round else _LATER * self._sample.left_s)
        self._toolbox.now("making inputs for")
        if not self._batch and not self._round:  # generators with only the problem's own data get no share
            for source in (each for each in self._sources if not self._early(each)):
                if not source.equipped or (wanted <= 0 and self._sample.problem.recipes):
                    own = _Turn(source, self._pulled(source, 0, room, self._batch), over=True)
                    self._turns.append(own)
                    self._take(own, to_its_end=True)
        records = self._records()
        for source, share, record in zip(self._sources, self._shares(wanted, records), records, strict=True):
            if share and not source.dry and not self._is_at_work(source):
                source.toolbox.part = search_part(record, [each for each in records if each is not record])
                self._waiting.append(_Turn(source, self._pulled(source, share, room, self._batch)))
                self._turns.append(self._waiting[-1])
        self._take_turns()
        over = [turn for turn in self._turns if turn.over]
        given = [turn.hand_over() for turn in self._turns]
        self._turns = [turn for turn in self._turns if turn not in over]
        return given

    def _take_turns(self) -> None:
        """Let generators have turns until all have given their share. The one that has had least time is next.

        With a time budget, as many are at work at once as there are slots: many run one program at a time. In the
        first round a batch does not wait long for one that must compile a program first. It waits for those that are
        asked once a round: they may bring programs that decide what is valid or right.
        """
        allowed_s, slots = self._sample.allowed_s, self._sample.runner.slots
        if allowed_s is None or slots == 1:
            self._work()
            return
        until_s = math.inf if self._round else time.monotonic() + _PATIENCE * allowed_s
        while True:
            self._forget_takers()
            with self._lock:
                idle = min(slots - len(self._takers), len(self._waiting))
            self._takers += [self._sample.threads.submit(self._work) for _ in range(idle)]
            left_s = until_s - time.monotonic()
            brought = any(turn.found for turn in self._turns) and all(t.over or not t.source.whole for t in self._turns)
            if not self._takers or (left_s <= 0 and brought):
                return
            wait(self._takers, left_s if 0 < left_s < math.inf else _LOOK_S, FIRST_COMPLETED)

    def _forget_takers(self) -> None:
        """Forget the threads that have ended. Raise the error of one."""
        ended = [each for each in self._takers if each.done()]
        self._takers = [each for each in self._takers if each not in ended]
        for each in ended:
            each.result()

    def _work(self) -> None:
        """Take from turns until nobody waits."""
        while True:
            with self._lock:
                if not self._waiting:
                    return
                turn = min(self._waiting, key=lambda each: each.seconds)
                self._waiting.remove(turn)
            more = False
            try:
                more = self._take(turn)
                enough = not more and turn.source.made_up >= self._sample.settings.max_proposals
                turn.source.dry = turn.source.dry or enough
            finally:
                turn.over = not more
            with self._lock:
                self._waiting.extend([turn] * more)

    def _take(self, turn: _Turn, *, to_its_end: bool = False) -> bool:
        """Take what a generator gives, until it yields None. Return whether it may give more."""
        began_s, before_s = time.monotonic(), turn.source.toolbox.cpu_s
        try:
            for proposal in turn.stream:
                if proposal is not None:
                    turn.found.append(proposal)
                elif not to_its_end:
                    return True
        except (PutOff, Stopped):
            raise
        except Exception as error:  # a generator is a plugin: the others, and the other problems, continue
            self._toolbox.note(f"generator {turn.source.generator.name!r} failed: {type(error).__name__}: {error}")
            turn.source.dry = True
        finally:
            spent_s = time.monotonic() - began_s
            turn.seconds += spent_s
            # What began in an earlier round is paid for in the round in which it ends.
            now = [each for each in self._sources if each.generator is turn.source.generator]
            payer = now[0] if now else turn.source
            payer.seconds += spent_s
            payer.cpu_s += turn.source.toolbox.cpu_s - before_s
        return False

    def _usable(self, new: list[Proposal], notes: list[str]) -> list[Proposal]:
        """Return the proposals whose validity can be decided.

        If that is none of the made-up ones, all generators are dry.
        """
        problem = self._sample.problem
        if self.tellable():
            if problem.packaged and not problem.input_validators and self._batch == 1 and not self._round:
                right = len(self._sample.jury)
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
        if self._known is None:
            self._known = {sha256(case.data).digest() for case in self._sample.store.cases(self._sample.problem.id)}
        in_turn = [each for turn in zip_longest(*given) for each in turn if each is not None]
        large = sum(len(each.data) > _MOST_INPUT and not each.sample for each in in_turn)
        found: list[Proposal] = []
        for each in sorted(in_turn, key=lambda proposal: not proposal.sample):
            digest = sha256(each.data).digest()
            if digest not in self._known and (each.sample or len(each.data) <= _MOST_INPUT):
                self._known.add(digest)
                found.append(each)
        return found, large

    def _shares(self, wanted: int, records: Sequence[GeneratorRecord]) -> list[int]:
        most = self._sample.settings.max_proposals
        size = batch_size(wanted) if self._batch or self._round else min(batch_size(wanted), _FIRST_BATCH)
        found = shares(size, records) if wanted > 0 else [0] * len(records)
        everything = min(most, max(_MOST_WHOLE, 2 * wanted)) if wanted > 0 else 0
        return [everything if source.whole else share for source, share in zip(self._sources, found, strict=True)]

    def _is_at_work(self, source: _Source) -> bool:
        """Return whether a generator is still at work on an earlier share."""
        return any(turn.source.generator is source.generator for turn in self._turns if not turn.over)

    def _early(self, source: _Source) -> bool:
        """Return whether it is too early for a generator: it wants to hear the validators first."""
        return not self._batch and not self._round and isinstance(source.generator, AskedLater)

    def _records(self) -> list[GeneratorRecord]:
        """Return the record of each source. Kills and seconds count only with a time budget: no seed repeats them."""
        most, timed = self._sample.settings.max_proposals, self._sample.allowed_s is not None
        cases = self._sample.store.origins(self._sample.problem.id, self._round, *_CHECKED)
        kills, seconds = self._sample.store.times.by_round(self._sample.problem.id) if timed else ({}, {})
        records = []
        for source in self._sources:
            name = source.generator.name
            states = [state for generator, state in cases if generator == name]
            valid = sum(state is not CaseState.INVALID for state in states)
            none = source.dry or source.whole or self._early(source) or self._is_at_work(source)
            left = 0 if none else most - source.made_up
            paid = discounted(kills.get(name, {}), self._round), discounted(seconds.get(name, {}), self._round)
            records.append(GeneratorRecord(len(states), valid, left, *paid))
        return records

    # -- a generator ---------------------------------------------------------------------------------

    def _pulled(self, source: _Source, share: int, room: _Room, batch: int) -> Iterator[Proposal | None]:
        """Yield `share` made-up inputs, and the problem's own data before them, while there is room.

        Yields None where another generator may have a turn.
        """
        stream, left = self._stream(source, share, batch), share
        most_s = min(math.inf if source.whole else _MOST_S, AIMED * self._sample.left_s)
        spent_s, since_s = 0.0, time.monotonic()
        while True:
            if self._sample.runner.stopping:
                raise Stopped
            if left <= 0 and share:
                return
            if room.left <= 0 or self._closed or self._sample.over or self._sample.left_s < room.until_s:
                return
            if spent_s + time.monotonic() - since_s > most_s:
                # With a budget, one that found nothing in its part of the time is not asked again in this round.
                source.dry = self._sample.allowed_s is not None and 0 < share == left
                return
            proposal = next(stream, _END)
            if proposal is None:
                spent_s += time.monotonic() - since_s
                yield None
                since_s = time.monotonic()
                continue
            if proposal is _END:
                # A generator that can be asked again is dry only if it gives nothing at all.
                source.dry = not isinstance(source.generator, AskableAgain) or left == share
                return
            if not isinstance(proposal, Proposal):
                what = f"{ascii(proposal)[:60]} ({type(proposal).__name__})"
                raise TypeError(f"it yielded {what}; it must yield a Proposal, or None")
            if left <= 0 and not proposal.sample:
                source.stream = chain([proposal], stream)
                return
            source.pulled += 1
            source.made_up += not proposal.sample
            left -= not proposal.sample
            room.left -= len(proposal.data)
            yield proposal

    def _stream(self, source: _Source, share: int, batch: int) -> Iterator[Proposal | None]:
        generator, problem = source.generator, self._sample.problem
        most = max(share, 1) if source.whole else self._sample.settings.max_proposals
        askable = generator if batch and isinstance(generator, AskableAgain) else None
        continued = askable is None or (batch == 1 and not self._round and source.pulled > 0 and not source.equipped)
        first = source.stream or ()
        if source.stream is None and (continued or self._feedback is not None):  # it may keep some of what it is told
            first = source.stream = iter(self._first(generator, problem, most)(self._rng(generator)))
            # Skip the inputs that an earlier session has taken.
            for _ in islice((each for each in first if each is not None), source.pulled * continued):
                if self._sample.runner.stopping:
                    raise Stopped
        if askable is None:
            return iter(first)
        again = islice(askable.ask_again(problem, self._heard(), self._rng(generator, f"+{batch}"), share), share)
        # The first batch is small. Who learns nothing from it goes on as it began, once.
        return islice(chain(again, first), share) if continued else again

    def _first(
        self, generator: Generator, problem: Problem, most: int
    ) -> Callable[[random.Random], Iterable[Proposal | None]]:
        if self._feedback is None:
            return lambda rng: generator.propose(problem, rng, len(problem.data) + len(problem.recipes) + most)
        feedback = self._feedback
        return lambda rng: generator.refine(problem, feedback, rng, most)  # type: ignore[attr-defined]  # the able have it

    def _rng(self, generator: Generator, suffix: str = "") -> random.Random:
        """Return a random generator for one question. It does not depend on how much other generators draw."""
        settings, problem = self._sample.settings, self._sample.problem
        round_ = f"/{self._round}" if self._round else ""
        return random.Random(zlib.crc32(f"{settings.seed}/{problem.id}/{generator.name}{round_}{suffix}".encode()))

    def _heard(self) -> ValidatorFeedback:
        valid: list[UnusedInput] = []
        refused: list[UnusedInput] = []
        for case in self._sample.store.cases(self._sample.problem.id, *_CHECKED):
            if case.sample or (case.round != self._round and case.state is not CaseState.INVALID):
                continue
            heard = UnusedInput(case.origin, case.data, case.note)
            (refused if case.state is CaseState.INVALID else valid).append(heard)
        return ValidatorFeedback(tuple(valid), tuple(refused))


# -- arithmetic ------------------------------------------------------------------------------------------


def batch_size(wanted: int) -> int:
    """Return the number of inputs to ask for, if `wanted` more valid ones are needed."""
    return min(_MOST_BATCH, max(_LEAST_BATCH, math.ceil(_MARGIN * wanted)))
