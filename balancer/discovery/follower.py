"""Discovery of a pool's endpoints: asks a source, and changes the pool. In two threads; a shell.

One thread asks, as a source may wait for news. The other acts when a time has come, such as the end of a grace.
"""

import logging
import os
import random
import threading
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from balancer.core import Core, Waiter
from balancer.core.metrics import SourceStats
from balancer.core.states import MembershipState
from balancer.discovery.reconcile import LeavingRules, Memory, Plan, reconcile
from balancer.errors import BalancerError, PoolClosed
from balancer.hookspecs import Source, SourceAnswer, checked_answer
from balancer.values.redaction import in_one_line, plain_name

__all__ = ["ChangePool", "Discovery"]

_LOGGER = logging.getLogger("balancer")
_FIRST_PAUSE_S: Final = 0.5  # after a failure; each further one doubles it
_LONGEST_PAUSE_S: Final = 30.0
_COMPARE_S: Final = 30.0  # the pool is compared with the last answer at least so often
_SELDOM_S: Final = 60.0
_PATIENCE_S: Final = 1.0
_SHOWN: Final = 200  # characters of what a source says
_NAMED: Final = 3
_EMPTY: Final = "it lists no endpoint"

ChangePool = Callable[[Callable[[Core, float], Sequence[Waiter]]], None]
"""Does something to a core under its lock, and then whatever its shell does after a change."""


class Discovery:
    """Keeps a pool in step with a source, from `start` to `close`.

    Args:
        name: its name for people.
        source: what is asked. It is closed at the end.
        rules: when endpoints leave.
        change: changes the core of the pool.
        clock: the pool's, in seconds.
    """

    def __init__(
        self, name: str, source: Source, rules: LeavingRules, change: ChangePool, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self._source = source
        self._rules = rules
        self._change = change
        self._clock = clock
        self._redact: Callable[[str], str] = str
        self._turn = threading.Condition()  # for all below
        self._answer: SourceAnswer | None = None  # None: the last one is not believed
        self._memory = Memory()
        self._due_s = inf
        self._answers = self._failures = self._failed_in_a_row = self._held = 0
        self._answered_s: float | None = None
        self._trouble = ""
        self._logged_s, self._is_logged = -inf, False
        self._over = threading.Event()
        self._told_first: list[Callable[[], object]] = []
        self._first = threading.Event()
        self._process = os.getpid()
        self._threads = [
            threading.Thread(target=work, name=f"discovery {name}", daemon=True)
            for work in (self._ask, self._keep_time)
        ]

    # -- from outside ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start to ask the source. May be called once."""
        for thread in self._threads:
            thread.start()

    def wait(self, for_s: float) -> bool:
        """Wait at most `for_s` seconds for the first answer that lists endpoints. Return whether it has come."""
        return self._first.wait(min(for_s, threading.TIMEOUT_MAX))

    def when_first(self, tell: Callable[[], object]) -> None:
        """Call `tell` once the first answer that lists endpoints has come, perhaps at once, in any thread."""
        with self._turn:
            if not self._first.is_set():
                self._told_first.append(tell)
                return
        tell()

    def hide(self, redact: Callable[[str], str]) -> None:
        """Use `redact` from now on to take secrets out of what is logged and shown."""
        self._redact = redact

    def stats(self) -> SourceStats:
        """Return what the source has said so far. Waits for nobody: a change may take its time."""
        memory, answered_s = self._memory, self._answered_s
        return SourceStats(
            name=self.name,
            kind=self._source.name,
            endpoints=len(memory.owned),
            missing=len(memory.missing),
            held=self._held,
            answers=self._answers,
            failures=self._failures,
            age_s=None if answered_s is None else max(0.0, self._clock() - answered_s),
            trouble=self._trouble,
        )

    def close(self) -> None:
        """Stop to ask. The endpoints stay. May be called twice."""
        if self._process != os.getpid() or self._over.is_set():  # a forked child has no threads to stop
            return
        self._over.set()
        with self._turn:
            self._turn.notify_all()
        self._source.close()
        for thread in self._threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(_PATIENCE_S)

    def __repr__(self) -> str:
        return f"<Discovery {self.name}: {len(self._memory.owned)} endpoints{', in trouble' if self._trouble else ''}>"

    # -- what is heard -----------------------------------------------------------------------------

    def heard(self, answer: SourceAnswer) -> None:
        """Act on an answer of the source. Raises BalancerError, ValueError if it cannot be used."""
        with self._turn:
            self._answers += 1
            before, self._answer = self._answer, checked_answer(answer)
            if before is not None and (before.wanted, before.gone) == (answer.wanted, answer.gone):
                self._answered_s = self._clock()
                return
            self._step()
            self._failed_in_a_row = 0
            self._turn.notify_all()
            if self._answer is None or self._first.is_set():
                return
            self._first.set()
            tell = self._told_first
        for each in tell:
            each()

    def failed(self, error: Exception) -> float:
        """Note that the source gave no answer, so that nothing leaves. Return how many seconds to pause."""
        with self._turn:
            self._failures += 1
            self._failed_in_a_row += 1
            self._answer, self._due_s = None, inf
            self._say_trouble(_words_of(error))
            pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failed_in_a_row - 1, 10))
        return pause_s * random.uniform(0.5, 1.0)

    def look_at_the_clock(self) -> None:
        """Do what is due by time."""
        with self._turn:
            if self._answer is not None and self._clock() >= self._due_s:
                self._step()

    def _step(self) -> None:
        """Compare the pool with the last answer, and change it, in one call of the core."""
        assert self._answer is not None
        answer, plans = self._answer, list[Plan]()

        def act(core: Core, now: float) -> Sequence[Waiter]:
            for endpoint in answer.wanted:
                core.ledger.check(endpoint)
            states = {each.endpoint.identity: each.state for each in core.ledger.accounts()}
            plan = reconcile(states, answer, self._memory, now, self._rules)
            self._memory, self._due_s = plan.memory, min(plan.due_s, now + _COMPARE_S) if plan.believed else inf
            plans.append(plan)
            return _carried_out(plan, core, states, now)

        self._change(act)
        (plan,) = plans
        self._held = plan.held
        if not plan.believed:
            self._answer = None
            self._say_trouble(_EMPTY)
            return
        self._answered_s = self._clock()
        self._trouble = ""
        if self._is_logged:
            _LOGGER.info("discovery %s: answers again", self.name)
            self._is_logged = False
        self._say_changes(plan)

    # -- the threads -------------------------------------------------------------------------------

    def _ask(self) -> None:
        pause_s = 0.0
        answer: SourceAnswer | None = None
        while not self._over.wait(pause_s):
            try:
                answer = self._source.look() or answer
                if answer is None or self._over.is_set():
                    continue
                self.heard(answer)
                pause_s = answer.again_s
            except PoolClosed:
                return
            except Exception as error:  # a source of somebody else may raise anything
                if self._over.is_set():
                    return
                pause_s = self.failed(error)

    def _keep_time(self) -> None:
        while not self._over.is_set():
            with self._turn:
                left_s = self._due_s - self._clock()
                if left_s > 0:
                    self._turn.wait(None if left_s == inf else left_s)
                    continue
            try:
                self.look_at_the_clock()
            except Exception as error:
                self.failed(error)

    # -- what is said ------------------------------------------------------------------------------

    def _say_trouble(self, words: str) -> None:
        """Show what is wrong with the source, and log it when it begins, at most once a minute."""
        shown = in_one_line(self._redact(words), _SHOWN)
        if not self._is_logged and self._clock() >= self._logged_s + _SELDOM_S:
            kept = len(self._memory.owned)
            _LOGGER.warning("discovery %s: %s; its %d endpoints stay as they are", self.name, shown, kept)
            self._logged_s, self._is_logged = self._clock(), True
        self._trouble = shown

    def _say_changes(self, plan: Plan) -> None:
        said = [
            f"{len(names)} {word} ({self._some(names)})"
            for word, names in (
                ("new", [each.name for each in plan.add]),
                ("changed", [each.name for each in plan.update]),
                ("leaving", plan.remove),
            )
            if names
        ]
        if said:
            _LOGGER.info("discovery %s: %s", self.name, ", ".join(said))

    def _some(self, names: Sequence[str]) -> str:
        shown = ", ".join(self._redact(plain_name(name)) for name in names[:_NAMED])
        return shown + (", ..." if len(names) > _NAMED else "")


def _carried_out(plan: Plan, core: Core, states: "dict[str, MembershipState]", now: float) -> Sequence[Waiter]:
    """Carry out a plan, what joins first, so that no waiter finds the pool empty. Return the waiters that ended."""
    others = any(state is MembershipState.ACTIVE for state in states.values())
    ended: list[Waiter] = []
    for endpoint in plan.add:
        ended += core.add(endpoint, now, slowly=others)
    for endpoint in plan.update:
        ended += core.update(endpoint, now)
    for name in plan.remove:
        ended += core.remove(name, now)
    return ended


def _words_of(error: Exception) -> str:
    """Return an error for people. Only the kind of one that is not ours: it may quote secrets."""
    if isinstance(error, BalancerError | ValueError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return f"it raised {type(error).__name__}"
