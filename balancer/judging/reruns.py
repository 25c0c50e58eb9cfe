"""Rerun rules: a program is run once, again where a busy server may be why, and elsewhere for a vote.

Decides that, and makes none: it yields pending runs, and whoever waits for them in a thread or in a task sends what
came of each. `suspicion` says which ends are doubted, `verifier` which runs are made again elsewhere. It must not know
what a program's output means.
"""

from dataclasses import replace

from balancer.judging.attempts import ProgramAttempts
from balancer.judging.options import RunnerOptions
from balancer.judging.pending import NOTHING, PendingRun, PendingRuns, ProgramResult, ProgramRun
from balancer.judging.suspicion import Recheck, Suspicion, second_limits, settled, suspicion_of
from balancer.judging.verifier import Verifier
from balancer.sandbox.trial import runs

__all__ = ["Reruns"]

_LAST_RECHECKS = 3  # with an endpoint to itself, which others than we may keep busy


class Reruns:
    """Which runs are made. Thread-safe.

    Args:
        attempts: makes their tries; is told here which endpoints are ejected, and doubted.
        options: how runs are made.
    """

    def __init__(self, attempts: ProgramAttempts, options: RunnerOptions) -> None:
        self._attempts = attempts
        self._quiet_label = options.quiet_label
        self._compile_s = options.compile_s
        self._verifier: Verifier | None = None
        if options.verify is not None and len(attempts.executors) > 1:
            self._verifier = verifier = Verifier(options.verify, attempts, run=self.once, rerun=self._elsewhere)
            attempts.ejected = lambda: verifier.ejected

    def once(self, wanted: ProgramRun, *, shuns: frozenset[str] = NOTHING) -> PendingRuns[ProgramResult]:
        """Run `wanted`, elsewhere if an endpoint fails; avoid those that it `shuns`, while others will do.

        An end that an overloaded endpoint may have caused does not count until another run finds the same: on a quiet
        endpoint if there is one, else on another one, else on the same. If that one was busy as well, further
        runs take all slots of an endpoint, so that nothing of ours disturbs them.
        """
        wanted = self._compiled(wanted)
        ran = yield PendingRun(wanted, shuns=shuns)
        ran = yield from self._believed(wanted, ran)
        if self._verifier is not None:
            ran = yield from self._verifier.heard(wanted, ran)
        return ran

    def twice(self, wanted: ProgramRun) -> PendingRuns[ProgramResult]:
        """Run `wanted`, and a second time elsewhere if its end is `odd`: then the second one counts.

        An endpoint where a program ends oddly, and well elsewhere, is doubted: what ends oddly there again counts as
        the endpoint's failure, and is tried elsewhere. One that ends oddly everywhere makes nobody suspect.
        """
        ran = yield from self.once(wanted)
        if ran.execution is None or wanted.odd is None or not wanted.odd(ran.execution):
            return ran
        again = yield from self.once(wanted, shuns=frozenset({ran.at}))
        if again.execution is not None and not wanted.odd(again.execution) and again.at != ran.at:
            self._attempts.doubt(ran.at)
        return again

    def confirmed(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Return `ran`, or what other endpoints say against it: it is a surprise, so it is made again elsewhere."""
        if self._verifier is None:
            return ran
        return (yield from self._verifier.surprised(wanted, ran))

    def _elsewhere(self, wanted: ProgramRun, only: frozenset[str]) -> PendingRuns[ProgramResult]:
        """Run `wanted` on one of these endpoints, and try that twice at most."""
        return (yield PendingRun(self._compiled(wanted), only=only))

    def _compiled(self, wanted: ProgramRun) -> ProgramRun:
        if self._compile_s is None:
            return wanted
        return replace(wanted, limits=replace(wanted.limits, compile_s=self._compile_s))

    def _believed(self, wanted: ProgramRun, ran: ProgramResult) -> PendingRuns[ProgramResult]:
        """Return `ran`, or what further runs say in its place."""
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
            busy = f"the server was too busy to tell, each time; the last one was {again.at}"
            return ProgramResult(None, again.note or busy, again.at)
        if (
            why is Suspicion.DOUBTFUL and said is Recheck.CLEARED
        ):  # now it has been compiled, and may be late, or starve
            return (yield from self._believed(wanted, ProgramResult(execution, at=again.at)))
        return ProgramResult(execution, at=again.at)

    def _capacity(self, name: str) -> int:
        return next((each.capacity for each in self._attempts.pool.stats().endpoints if each.name == name), 0)

    def _all_slots(self, language: str) -> int:
        executors = self._attempts.executors
        endpoints = self._attempts.pool.stats().endpoints
        able = [each for each in endpoints if each.name in executors and runs(executors[each.name], language)]
        return max((endpoint.capacity for endpoint in able), default=1)
