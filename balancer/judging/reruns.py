"""Rerun rules: which runs are repeated, and on which endpoints.

A run is made once, again if a busy server may have caused its end, and elsewhere for a vote. `suspicion` decides which
ends are doubted, `trust` which endpoint is believed. It yields pending runs; the caller carries them out in a thread or
task, and sends the results.

`Verifier` repeats runs on other endpoints. `Accusations` takes endpoints that lie out of service.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from balancer.errors import BalancerError
from balancer.judging.attempts import ProgramAttempts
from balancer.judging.pending import NOTHING, PendingRun, PendingRuns, ProgramResult, ProgramRun, RunnerOptions
from balancer.judging.suspicion import Recheck, Suspicion, second_limits, settled, suspicion_of
from balancer.judging.trust import (
    LIMITS,
    NO_COMPILE,
    AskAgain,
    AskElsewhere,
    Settled,
    Trust,
    Unsettled,
    Vote,
    next_check,
    said,
)
from balancer.program import Execution
from balancer.sandbox.probes import KnownAnswer, known_answer, runs
from balancer.settings.pipeline import VerifySettings

__all__ = ["Reruns", "Verifier"]

_LAST_RECHECKS = 3  # with all slots of an endpoint; other users may still keep it busy
_LOGGER = logging.getLogger("balancer")
_CHALLENGES = 20  # programs with a known answer; an endpoint that lies once in ten passes with 12%
_MOST_CHALLENGED = 5  # times that an endpoint is tested; one that passed so often passes again
_STUCK = 5  # programs that must all meet a limit; an endpoint that is only slow finishes one of them
_REPEATED = 5  # times that a program must repeat its output before it is a witness


class Reruns:
    """Decides which runs are made. Thread-safe.

    Args:
        attempts: makes the tries; learns here which endpoints are ejected or doubted.
        options: of runs.
    """

    def __init__(self, attempts: ProgramAttempts, options: RunnerOptions) -> None:
        self._attempts = attempts
        self._quiet_label = options.quiet_label
        self._compile_s = options.compile_s
        self._verifier: Verifier | None = None
        if options.verify is not None and len(attempts.executors) > 1:
            trust = options.trust or Trust(options.verify, attempts.executors)
            self._verifier = verifier = Verifier(options.verify, attempts, trust, run=self.once, rerun=self._elsewhere)
            attempts.ejected = lambda: verifier.ejected

    def once(self, wanted: ProgramRun, *, shuns: frozenset[str] = NOTHING) -> PendingRuns[ProgramResult]:
        """Run `wanted`, on another endpoint if one fails. Avoid the endpoints in `shuns`, if there are others.

        An end that overload may have caused counts only if another run confirms it: on a quiet endpoint if there is
        one, else on another one, else on the same. If that one was busy too, further runs lease all slots of an
        endpoint, so that no other run of ours disturbs them.
        """
        wanted = self._compiled(wanted)
        ran = yield PendingRun(wanted, shuns=shuns)
        ran = yield from self._believed(wanted, ran)
        if self._verifier is not None:
            ran = yield from self._verifier.heard(wanted, ran)
        return ran

    def twice(self, wanted: ProgramRun) -> PendingRuns[ProgramResult]:
        """Run `wanted`. If its end is `odd`, run it again on another endpoint, and return the second result.

        If the program ends well elsewhere, the first endpoint is doubted: another odd end there counts as its failure.
        An odd end on both accuses no endpoint.
        """
        ran = yield from self.once(wanted)
        if ran.execution is None or wanted.odd is None or not wanted.odd(ran.execution):
            return ran
        again = yield from self.once(wanted, shuns=frozenset({ran.at}))
        if again.execution is not None and not wanted.odd(again.execution) and again.at != ran.at:
            self._attempts.doubt(ran.at)
        return again

    def confirmed(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Repeat a surprising run elsewhere. Return `ran`, or the result that other endpoints agree on."""
        if self._verifier is None:
            return ran
        return (yield from self._verifier.surprised(wanted, ran))

    def _elsewhere(self, wanted: ProgramRun, only: frozenset[str]) -> PendingRuns[ProgramResult]:
        """Run `wanted` on one of these endpoints, in at most two tries."""
        return (yield PendingRun(self._compiled(wanted), only=only))

    def _compiled(self, wanted: ProgramRun) -> ProgramRun:
        if self._compile_s in (None, wanted.limits.compile_s):
            return wanted
        return replace(wanted, limits=replace(wanted.limits, compile_s=self._compile_s))

    def _believed(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Return `ran`, or the result of further runs."""
        first = ran.execution
        why = suspicion_of(first, wanted.limits, wanted.expected) if first is not None else None
        if first is None or why is None:
            return ran
        longer = replace(wanted, limits=second_limits(why, first, wanted.limits, wanted.expected))
        again = yield PendingRun(longer, prefers=frozenset({self._quiet_label}), shuns=frozenset({ran.at}))
        alone = self._capacity(again.at) == 1
        found = settled(first, again.execution, wanted.limits, longer.limits, alone=alone, last=False)
        for left in reversed(range(_LAST_RECHECKS)):
            if found is not None:
                break
            again = yield PendingRun(longer, slots=self._all_slots(wanted.program.language))
            found = settled(first, again.execution, wanted.limits, longer.limits, alone=True, last=not left)
        execution, said = found if found is not None else (None, Recheck.UNJUDGED)
        self._attempts.hooks.on_recheck(wanted, why, said)
        if execution is None:
            busy = f"the server was too busy at each try; the last server was {again.at}"
            return ProgramResult(None, again.note or busy, again.at)
        if why is Suspicion.DOUBTFUL and said is Recheck.CLEARED:  # it is compiled now; its run may be late or starved
            return (yield from self._believed(wanted, ProgramResult(execution, at=again.at)))
        return ProgramResult(execution, at=again.at)

    def _capacity(self, name: str) -> int:
        return next((each.capacity for each in self._attempts.pool.stats().endpoints if each.name == name), 0)

    def _all_slots(self, language: str) -> int:
        executors = self._attempts.executors
        endpoints = self._attempts.pool.stats().endpoints
        able = [each for each in endpoints if each.name in executors and runs(executors[each.name], language)]
        return max((endpoint.capacity for endpoint in able), default=1)


class Verifier:
    """Verifies the runs of one session. Thread-safe.

    Args:
        settings: which runs are repeated.
        attempts: has the executors, the pool (liars are drained from it) and the hooks.
        trust: the record of the endpoints, which other verifiers may share.
        run: makes a run as if for the first time.
        rerun: repeats a run on one of these endpoints.
    """

    def __init__(
        self,
        settings: VerifySettings,
        attempts: ProgramAttempts,
        trust: Trust,
        *,
        run: Callable[[ProgramRun], PendingRuns[ProgramResult]],
        rerun: Callable[[ProgramRun, frozenset[str]], PendingRuns[ProgramResult]],
    ) -> None:
        self._settings = settings
        self._executors = attempts.executors
        self._pool = attempts.pool
        self._hooks = attempts.hooks
        self._store = attempts.hooks.verification
        self._run = run
        self._rerun = rerun
        self._lock = trust.lock
        self._trust = trust
        self._accusations = Accusations(attempts, trust, rerun)
        self._rng = random.Random()  # a server must not be able to predict it

    @property
    def ejected(self) -> frozenset[str]:
        """The endpoints that were taken out of service because they lied."""
        return self._trust.ejected

    def heard(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Return `ran`, or, if it is repeated, the result that other endpoints agree on."""
        if ran.execution is None:
            return ran
        word = said(ran.execution)
        with self._lock:
            verifies = word is not None and self._trust.verifies(ran.at, self._rng.random())
            stuck = self._trust.is_stuck(ran.at, ran.execution.status)
        if stuck:
            yield from self._accusations.ask_whether_stuck(ran.at, wanted)
        return (yield from (self._verified(wanted, ran) if verifies else self._believed(wanted, ran)))

    def surprised(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Return `ran`, or the result that other endpoints agree on. Does not depend on the share of repeated runs."""
        if ran.verified or ran.execution is None or not self._settings.surprises:
            return ran
        return (yield from self._verified(wanted, ran))

    # -- one run -------------------------------------------------------------------------------------

    def _believed(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Accept `ran` unverified. If its endpoint was ejected meanwhile, run it again."""
        with self._lock:
            if ran.at not in self._trust.ejected:
                if self._store is not None:
                    self._store.believed(ran.at, wanted.problem)
                return ran
        return (yield from self._run(wanted))

    def _verified(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Ask other endpoints until the result is settled, and return it."""
        assert ran.execution is not None
        wanted = replace(wanted, odd=None)
        words, answers = [Vote(ran.at, said(ran.execution))], [ran]
        failed = False
        while True:
            able = self._able(wanted, {word.endpoint for word in words})
            step = next_check(words, more=bool(able) and not failed)
            if isinstance(step, Settled):
                return (yield from self._settled(wanted, step, words, answers))
            if isinstance(step, Unsettled):
                return (yield from self._unsettled(wanted, step, answers))
            only = able if isinstance(step, AskElsewhere) else frozenset({step.endpoint})
            again = yield from self._rerun(wanted, only)
            self._hooks.made_again("again")
            if again.execution is None:
                failed = True
                if isinstance(step, AskAgain):
                    words.append(Vote(step.endpoint, None))
                    answers.append(again)
                continue
            words.append(Vote(again.at, said(again.execution)))
            answers.append(again)

    def _able(self, wanted: ProgramRun, asked: set[str]) -> frozenset[str]:
        others = self._executors.keys() - asked - self._trust.ejected - self._pool.out_of_service()
        return frozenset(name for name in others if runs(self._executors[name], wanted.program.language))

    def _settled(
        self, wanted: ProgramRun, found: Settled, words: list[Vote], answers: list[ProgramResult]
    ) -> PendingRuns[ProgramResult]:
        with self._lock:
            for name in sorted(found.agreed):
                if self._trust.agreed(name) and self._store is not None:
                    self._store.trusted(name)
        if found.outvoted:
            self._hooks.made_again("differed")
        # A compiler that refuses what others accept is a different compiler, not a lie, so there is no witness.
        speaks = wanted.witness and bool(found.outvoted) and all(word.said != NO_COMPILE for word in words)
        repeats = speaks and (yield from self._repeats(wanted, found))
        witness = _witness(wanted) if repeats else None
        for name in sorted(found.outvoted):
            yield from self._accusations.outvoted(name, wanted, witness)
        right = next(ran for word, ran in zip(words, answers, strict=True) if word.said == found.said)
        return replace(right, verified=True)

    def _repeats(self, wanted: ProgramRun, found: Settled) -> PendingRuns[bool]:
        """Return whether the program repeats its output. A program with random output is no witness."""
        for _ in range(_REPEATED):
            again = (yield from self._rerun(wanted, found.agreed)).execution
            self._hooks.made_again("again")
            if again is None or said(again) != found.said:
                with self._lock:
                    self._trust.unsteady(_witness(wanted))
                return False
        return True

    def _unsettled(
        self, wanted: ProgramRun, found: Unsettled, answers: list[ProgramResult]
    ) -> PendingRuns[ProgramResult]:
        if found.differ:
            self._hooks.made_again("unsettled")
            if len(found.differ) > 2:
                with self._lock:
                    self._trust.unsteady(_witness(wanted))
            for name in sorted(found.differ):
                yield from self._accusations.challenge(name, wanted)
        sound = [ran for ran in answers if ran.execution is not None and ran.at not in self._trust.ejected]
        return (yield from self._believed(wanted, sound[0] if sound else answers[0]))


def _witness(wanted: ProgramRun) -> tuple[str, str]:
    return wanted.problem, wanted.program.name


class Accusations:
    """Tests of accused endpoints with programs whose answer is known. Liars are taken out of service. Thread-safe.

    Args:
        attempts: as for `Verifier`.
        trust: the record of the endpoints.
        rerun: as for `Verifier`.
    """

    def __init__(
        self,
        attempts: ProgramAttempts,
        trust: Trust,
        rerun: Callable[[ProgramRun, frozenset[str]], PendingRuns[ProgramResult]],
    ) -> None:
        self._attempts = attempts
        self._trust = trust
        self._lock = trust.lock
        self._rerun = rerun
        self._challenged: Counter[str] = Counter()

    def outvoted(self, name: str, wanted: ProgramRun, witness: tuple[str, str] | None) -> PendingRuns[None]:
        """Record that `name` was outvoted. `witness` is the program, or None if it counts for nothing."""
        why = f"other endpoints disagreed on several programs, at last on {wanted.program.name or 'one'}"
        goes = self._ejects(name, why, partial(self._trust.outvoted, name, witness))
        if not goes and name not in self._trust.ejected:
            yield from self.challenge(name, wanted)

    def challenge(self, name: str, wanted: ProgramRun) -> PendingRuns[None]:
        """Run programs with a known answer on the endpoint. One wrong answer ejects it."""
        with self._lock:
            self._challenged[name] += 1
            if self._challenged[name] > _MOST_CHALLENGED:
                return
        for _ in range(_CHALLENGES):
            known, done = yield from self._asked(name, wanted)
            if known is None:
                return
            if done is not None and known.is_wrong(done):
                self._fail(name, f"it returned {done.stdout[:40]!r} for a program that prints {known.output.decode()}")
                return

    def ask_whether_stuck(self, name: str, wanted: ProgramRun) -> PendingRuns[None]:
        """Run programs with a known answer on the endpoint. If all meet a limit, it is ejected."""
        for _ in range(_STUCK):
            _, done = yield from self._asked(name, wanted)
            if done is None or done.status not in LIMITS:
                return
        self._fail(name, f"it reported a limit for {_STUCK} programs that only print a number")

    def _asked(self, name: str, wanted: ProgramRun) -> PendingRuns[tuple[KnownAnswer | None, Execution | None]]:
        """Run a program with a known answer on the endpoint. Return both.

        Returns (None, None) if the endpoint was ejected or runs no such program.
        """
        known = known_answer(self._attempts.executors[name])
        if known is None or name in self._trust.ejected:
            return None, None
        asked = ProgramRun(known.program, known.stdin, known.limits, wanted.problem, wanted.stage, "known answer", 0)
        done = (yield from self._rerun(asked, frozenset({name}))).execution
        self._attempts.hooks.made_again("again")
        return known, done

    def _fail(self, name: str, why: str) -> None:
        self._ejects(name, why, partial(self._trust.failed, name))

    def _ejects(self, name: str, why: str, ejects: Callable[[], bool]) -> bool:
        """Take `name` out of service if `ejects` returns True.

        The lock covers the store too, so a result of `name` is either recorded before, or refused.
        """
        hooks = self._attempts.hooks
        with self._lock:
            goes = ejects()
            problems = hooks.verification.eject(name, why) if goes and hooks.verification is not None else 0
        if goes:
            with suppress(BalancerError):  # gone, or only its server changes the pool; no attempt goes there anyway
                self._attempts.pool.drain(name)
            line = f"{name} gives wrong results and is taken out of service: {why}; problems judged again: {problems}"
            _LOGGER.warning("%s", line)
            hooks.say(line)
        return goes
