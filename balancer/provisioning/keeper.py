"""Keeper of an account: carries out what its fleet decides, and changes the pool. In threads; a shell.

One thread decides: when a caller begins to wait, when something has ended, and when a time has come. Each creation,
each destruction and each listing has a thread of its own, as a provider may take its time.
"""

import atexit
import logging
import os
import random
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, Final

from balancer.core import Core, Waiter
from balancer.core.account import Account
from balancer.core.events import Event, Queued
from balancer.core.metrics import SourceStats
from balancer.core.states import Health, MembershipState
from balancer.discovery.follower import ChangePool
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, PoolClosed
from balancer.provider import Instance, Provider, ProviderError
from balancer.provisioning.claim import Claim
from balancer.provisioning.fleet import AccountFleet, FleetCounts, FleetLimits, Orders, Usage
from balancer.shells.coroutines import in_coroutine
from balancer.values.redaction import in_one_line

__all__ = ["Provisioning"]

_LOGGER = logging.getLogger("balancer")
_LEAST_S: Final = 0.01  # between two decisions, so that a storm of waiters costs little
_WAITED_S: Final = 0.25  # how often a decision is made while callers wait
_FIRST_ASK_S, _LAST_ASK_S = 0.05, 1.0  # between two questions whether an instance is ready
_LEASES_S: Final = 5.0  # for leases that are out at the end, if the pool goes on
_END_S: Final = 30.0  # for creations under way, and for all to be destroyed, at the end
_SELDOM_S: Final = 60.0
_SHOWN: Final = 200  # characters of what a provider says
_EJECTED: Final = (Health.EJECTED, Health.HALF_OPEN)

Observe = Callable[[Callable[[Event], object], Iterable[type[Event]]], Any]
"""Calls a function with the events of a pool, until `end` of what it returns."""


class Provisioning:
    """Makes endpoints of a pool on demand, from `start` to `close`.

    Args:
        name: its name for people, and the start of the names of its endpoints.
        provider: makes and destroys. It is closed at the end.
        limits: of the account.
        label: marks its instances at the provider. At most one process of this machine may use it at once.
        ready_s: how many seconds an instance may need to get ready.
        expected: what its endpoints will be like.
        change: changes the core of the pool.
        observe: subscribes to events of the pool.
        clock: the pool's, in seconds.
    """

    def __init__(
        self,
        name: str,
        provider: Provider,
        limits: FleetLimits,
        *,
        label: str,
        ready_s: float,
        expected: Endpoint,
        change: ChangePool,
        observe: Observe,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.label = label
        self.limits = limits
        self._provider = provider
        self._ready_s = ready_s
        self._expected = expected
        self._change = change
        self._observe = observe
        self._clock = clock
        self._redact: Callable[[str], str] = str
        self._lock = threading.Lock()  # for the fleet; the pool's lock may be held, never the other way round
        self._fleet = AccountFleet(limits, _new_keys(), random.Random(), clock())
        self._orders: deque[Orders] = deque()  # decided, and not carried out yet
        self._news = threading.Event()
        self._over = threading.Event()
        self._first = threading.Event()
        self._quiet = threading.Condition()  # notified when work has ended
        self._lost: set[str] = set()  # keys of creations that failed
        self._failures = 0
        self._answered_s: float | None = None
        self._trouble = ""
        self._logged_s, self._is_logged = -inf, False
        self._claim: Claim | None = None
        self._observation: Any = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._keep, name=f"account {name}", daemon=True)

    # -- from outside ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. May be called once. Raises ConfigError: another process of this machine uses the label."""
        self._claim = Claim(self.name, self.label)
        atexit.register(self.close)
        with self._lock:
            hopes = self._fleet.may_make(self._clock())
        self._change(partial(self._told_to_hope, hopes))  # so that calls wait from now on
        self._observation = self._observe(self._heard, (Queued,))
        self._thread.start()

    def wait(self, for_s: float) -> bool:
        """Wait at most `for_s` seconds for the first endpoint. Return whether there was one."""
        return self._first.wait(min(for_s, threading.TIMEOUT_MAX))

    def hide(self, redact: Callable[[str], str]) -> None:
        """Use `redact` from now on to take secrets out of what is logged and shown."""
        self._redact = redact

    @property
    def counts(self) -> FleetCounts:
        """How many instances there are, and what has happened so far."""
        with self._lock:
            return self._fleet.counts

    def stats(self) -> SourceStats:
        """Return the account as a source of endpoints: creations are its answers, and those that leave are missing."""
        counts = self.counts
        return SourceStats(
            name=self.name,
            kind=self._provider.name,
            endpoints=counts.serving,
            missing=counts.leaving,
            held=0,
            answers=counts.made,
            failures=self._failures,
            age_s=None if self._answered_s is None else max(0.0, self._clock() - self._answered_s),
            trouble=self._trouble,
            made=counts.made,
            not_made=counts.failed,
        )

    def close(self) -> None:
        """Destroy all instances. If the pool goes on, leases that are out have a few seconds to end. May be called
        twice."""
        if self._process != os.getpid() or self._over.is_set():  # a forked child owns none of them
            return
        atexit.unregister(self.close)
        self._over.set()
        self._news.set()
        if in_coroutine():  # its event loop must not wait; the process does, as this is no daemon
            threading.Thread(target=self._end, name=f"close account {self.name}").start()
        else:
            self._end()

    def _end(self) -> None:
        if self._claim is None:  # it was never started
            self._provider.close()
            return
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._observation is not None:
            self._observation.end()
        self._empty()
        self._sweep()
        self._provider.close()
        self._claim.close()

    def __repr__(self) -> str:
        counts = self.counts
        return f"<Provisioning {self.name}: {counts.serving} serve, {counts.creating} are being made>"

    # -- deciding ----------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        self._news.set()

    def _keep(self) -> None:
        while not self._over.is_set():
            self._news.clear()
            due_s = self._decide()
            left_s = max(0.0, due_s - self._clock())
            self._news.wait(min(left_s, threading.TIMEOUT_MAX))
            self._over.wait(_LEAST_S)

    def _decide(self) -> float:
        """Decide once, and carry it out. Return when to decide again."""
        waits = False

        def act(core: Core, now: float) -> Sequence[Waiter]:
            nonlocal waits
            if core.closed:
                return ()
            waits = bool(core.waiting)
            pool, accounts = self._seen(core)
            with self._lock:
                orders = self._fleet.decide(pool, core.wanted_of(self), now)
                hopes = self._fleet.may_make(now)
            self._orders.append(orders)
            ended = list(self._told_to_hope(hopes, core, now))  # first, so that no waiter finds the pool empty
            return ended + self._removed(orders.remove, accounts, core, now)

        try:
            self._change(act)
        except Exception as error:
            self._say_trouble(error)
        due_s = self._carry_out()
        return min(due_s, self._clock() + _WAITED_S) if waits else due_s

    def _removed(self, ids: Iterable[str], accounts: Mapping[str, Account], core: Core, now: float) -> list[Waiter]:
        """Take instances out of the pool. Return the waiters that ended."""
        ended: list[Waiter] = []
        for id in ids:
            if accounts[id].state is not MembershipState.RETIRING:
                ended += core.remove(self._name_of(id), now)
        return ended

    def _told_to_hope(self, hopes: bool, core: Core, now: float) -> Sequence[Waiter]:
        with self._lock:
            coming = self._fleet.coming
        return core.expect(self, self._expected if hopes else None, coming, now)

    def _seen(self, core: Core) -> tuple[dict[str, Usage], dict[str, Account]]:
        """Return how the pool uses the instances, and their accounts in it, by id."""
        start = len(self.name) + 1
        names = {self._name_of(id) for id in self._known()}
        accounts = {each.endpoint.name[start:]: each for each in core.ledger.accounts() if each.endpoint.name in names}
        out = Counter(lease.account for lease in core.ledger.out.values())
        return {id: _usage_of(account, out[account]) for id, account in accounts.items()}, accounts

    def _known(self) -> tuple[str, ...]:
        with self._lock:
            return self._fleet.ids

    def _name_of(self, id: str) -> str:
        return f"{self.name}/{id}"

    def _carry_out(self) -> float:
        """Do what was decided. Return when to decide again."""
        due_s = inf if self._orders else self._clock() + _WAITED_S  # the pool did not change, or has ended
        while self._orders:
            orders = self._orders.popleft()
            due_s = min(due_s, orders.due_s)
            for key in orders.create:
                self._begin(partial(self._create, key))
            for id in orders.destroy:
                self._begin(partial(self._destroy, id))
            if orders.find:
                self._begin(self._find)
        return due_s

    # -- working -----------------------------------------------------------------------------------

    def _begin(self, work: Callable[[], object]) -> None:
        """Do some work in a thread of its own; here, if the machine has no more."""
        try:
            threading.Thread(target=self._do, args=(work,), name=f"account {self.name}", daemon=True).start()
        except RuntimeError:
            self._do(work)

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            self._news.set()
            with self._quiet:
                self._quiet.notify_all()

    def _create(self, key: str) -> None:
        try:
            instance = self._provider.create(self.label, key)
            with self._lock:
                self._fleet.created(key, instance.id)
            self._await_ready(instance)
            self._change(partial(self._join, key, instance))
        except Exception as error:  # a provider of somebody else may raise anything
            after_s, refused = _asked_by(error)
            with self._lock:
                self._fleet.failed(key, self._clock(), refused=refused, after_s=after_s)
                self._lost.add(key)
            self._failures += 1
            self._say_trouble(error)
            return
        self._first.set()
        self._answered_s = self._clock()
        self._is_well()

    def _await_ready(self, instance: Instance) -> None:
        """Return once an instance is ready. Raises ProviderError if it is not in time."""
        until_s = self._clock() + self._ready_s
        pause_s = _FIRST_ASK_S
        while not self._provider.ready(instance):
            if self._clock() + pause_s > until_s:
                raise ProviderError(f"{instance.id} was not ready within ready_s = {self._ready_s:g} s")
            if self._over.wait(pause_s):
                raise ProviderError(f"{instance.id} was not ready before the end")
            pause_s = min(2 * pause_s, _LAST_ASK_S)

    def _join(self, key: str, instance: Instance, core: Core, now: float) -> Sequence[Waiter]:
        with self._lock:
            if core.closed or self._over.is_set():
                raise PoolClosed
            ended = core.add(replace(instance.endpoint, name=self._name_of(instance.id)), now)
            self._fleet.ready(key, instance.lives_s, now)
        return [*ended, *self._told_to_hope(True, core, now)]

    def _destroy(self, id: str) -> None:
        try:
            self._provider.destroy(id)
        except Exception as error:
            with self._lock:
                self._fleet.not_destroyed(id, self._clock())
            self._say_trouble(error)
            return
        with self._lock:
            self._fleet.destroyed(id)

    def _find(self) -> None:
        with self._lock:
            serving = self._fleet.serving
        try:
            keys = dict(self._provider.find(self.label))
        except Exception as error:
            after_s, refused = _asked_by(error)
            with self._lock:
                self._fleet.not_found(self._clock(), refused=refused, after_s=after_s)
            self._failures += 1
            self._say_trouble(error)
            return
        with self._lock:
            vanished = self._fleet.found(keys, serving, self._clock())
        for id in vanished:
            _LOGGER.warning("account %s: %s has vanished", self.name, id)
            with suppress(BalancerError):
                self._change(partial(self._leave, id))

    def _leave(self, id: str, core: Core, now: float) -> Sequence[Waiter]:
        return core.remove(self._name_of(id), now)

    # -- the end -----------------------------------------------------------------------------------

    def _empty(self) -> None:
        """Take all out of the pool, wait a little for their leases, and destroy them."""
        with self._lock:
            self._fleet.close()
        until_s = self._clock() + _END_S
        leases_s = self._clock() + _LEASES_S
        while self._clock() < until_s:
            try:
                self._change(partial(self._let_go, self._clock() < leases_s))
            except Exception:  # the pool has ended
                with self._lock:
                    self._orders.append(self._fleet.decide({}, 0, self._clock()))
            self._carry_out()
            counts = self.counts
            if not (counts.creating or counts.serving or counts.leaving or counts.ending):
                return
            with self._quiet:
                self._quiet.wait(_WAITED_S)

    def _let_go(self, spares: bool, core: Core, now: float) -> Sequence[Waiter]:
        """Decide at the end. `spares`: leases that are out may go on."""
        pool, accounts = self._seen(core)
        with self._lock:
            orders = self._fleet.decide(pool if spares and not core.closed else {}, 0, now)
        self._orders.append(orders)
        return [*core.expect(self, None, 0, now), *self._removed(accounts, accounts, core, now)]

    def _sweep(self) -> None:
        """Destroy what is left of this owner's, such as an instance of a creation whose answer was lost.

        Not more: after a partition, another owner may have the label already.
        """
        try:
            known = self._known()
            for id, key in self._provider.find(self.label).items():
                if key in self._lost or id in known:
                    self._provider.destroy(id)
        except Exception as error:
            _LOGGER.warning(
                "account %s: %s; the next owner of the label %s destroys what is left",
                self.name,
                self._shown(error),
                self.label,
            )

    # -- what is said ------------------------------------------------------------------------------

    def _shown(self, error: Exception) -> str:
        """Return an error for people. Only the kind of one that is not ours: it may quote secrets."""
        said = str(error) if isinstance(error, BalancerError | ValueError) else f"it raised {type(error).__name__}"
        return in_one_line(self._redact(said), _SHOWN)

    def _say_trouble(self, error: Exception) -> None:
        """Show what is wrong with the account, and log it when it begins, at most once a minute."""
        if isinstance(error, PoolClosed):
            return
        self._trouble = self._shown(error)
        if not self._is_logged and self._clock() >= self._logged_s + _SELDOM_S:
            _LOGGER.warning("account %s: %s", self.name, self._trouble)
            self._logged_s, self._is_logged = self._clock(), True

    def _is_well(self) -> None:
        self._trouble = ""
        if self._is_logged:
            _LOGGER.info("account %s: makes endpoints again", self.name)
            self._is_logged = False


def _new_keys() -> Iterator[str]:
    while True:
        yield uuid.uuid4().hex


def _usage_of(account: Account, out: int) -> Usage:
    """Return how an instance is used. `out`: its leases that have not ended."""
    record = account.record
    return Usage(
        account.in_flight,
        account.leases,
        account.leases - out - account.failures - account.overloads - account.ignored,
        account.failures,
        active=account.state is MembershipState.ACTIVE,
        ejected=record is not None and record.state in _EJECTED,
    )


def _asked_by(error: Exception) -> tuple[float, bool]:
    """Return after how many seconds a provider wants to be asked again, and whether the account refuses."""
    return (error.after_s, error.refused) if isinstance(error, ProviderError) else (0.0, False)
