"""The fleet of an account: how many instances to make, and which to destroy. Pure.

- Every instance counts against `most` until it is known to be destroyed, also one that is being made, and one that an
  earlier owner has left, or whose answer was lost. So nothing is made before the provider has listed what there is,
  at the start and after a failure.
- Creations have a token bucket: in any t seconds at most `burst` + `per_s` x t begin, failed ones included.
- An instance leaves the pool when it has been idle for long, at its end of life, or when it fails again and again. It
  is destroyed when its last lease has ended, and again until that has worked.
- After a failure nothing is made for a while: half a second, and each time twice as long.

Source of the token bucket: the generic cell rate algorithm (ITU-T I.371), which needs one number.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from math import ceil, inf
from typing import Final

from balancer.core.budget import LONGEST_ASKED_S

__all__ = ["AccountFleet", "FleetCounts", "FleetLimits", "Orders", "Usage"]

_FIRST_PAUSE_S: Final = 0.5  # after a failure; each further one in a row doubles it
_LONGEST_PAUSE_S: Final = 30.0
_LOOK_S: Final = 0.25  # how often the use of the instances is looked at, while there are some
_FIND_S: Final = 60.0  # how often the provider lists what there is
_FOUND_MISSING: Final = 2  # lists in a row that must lack an instance until it counts as gone
_DEAD: Final = 5  # failures without a success until an instance counts as dead, even if health has no other to use
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """What an account allows, and how many instances are kept.

    Args:
        most: how many may exist at once (>= 1).
        warm: how many idle ones are kept ready (>= 0).
        idle_s: how many seconds a further one is kept without a lease (>= 0).
        per_s: creations a second (> 0).
        burst: creations at once after a pause (>= 1).
        slots: of one instance (>= 1).
    """

    most: int
    warm: int = 0
    idle_s: float = 60.0
    per_s: float = 1.0
    burst: int = 1
    slots: int = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """How the pool uses an instance now.

    Attributes:
        in_flight: slots that are leased.
        leases: leases granted so far.
        successes, failures: leases that ended so.
        active: False if it gets no new leases, because somebody has drained or removed it.
        ejected: True if health has taken it out of service.
    """

    in_flight: int
    leases: int
    successes: int = 0
    failures: int = 0
    active: bool = True
    ejected: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """What to do now.

    Attributes:
        create: a key for each instance to make.
        remove: ids of instances that get no new leases.
        destroy: ids of instances without a lease.
        find: True: let the provider list what exists.
        due_s: when to decide again at the latest.
    """

    create: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    destroy: tuple[str, ...] = ()
    find: bool = False
    due_s: float = inf


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """How many instances there are, by state, and what has happened so far.

    Attributes:
        creating: being made, or not ready yet.
        serving: in the pool.
        leaving: without new leases; their last leases have not ended.
        ending: being destroyed.
        made, failed: creations that ended with an instance in the pool, and others.
        destroyed: instances that are destroyed, those of earlier owners included.
    """

    creating: int
    serving: int
    leaving: int
    ending: int
    made: int
    failed: int
    destroyed: int


class _Phase(Enum):
    CREATING = "being made, or not ready yet"
    SERVING = "in the pool"
    LEAVING = "gets no new leases"
    ENDING = "being destroyed"


class _Member:
    """One instance. `id` is "" until the provider has told it."""

    __slots__ = (
        *("busy", "id", "idle_s", "key", "missing", "phase", "retry_s", "tries", "until_s"),
        *("failures", "leases", "successes"),
    )

    def __init__(self, key: str, id: str, phase: _Phase, now: float) -> None:
        self.key = key
        self.id = id
        self.phase = phase
        self.until_s = inf  # end of its life
        self.idle_s = now  # since when it has no lease, as far as is known
        self.leases = self.successes = self.failures = 0  # failures: when it last had a success
        self.missing = 0  # lists in a row that lack it
        self.busy = False  # while somebody destroys it
        self.retry_s, self.tries = now, 0  # when it may be destroyed, and how often that has failed


class AccountFleet:
    """The instances of one account. Whoever drives it calls `decide`, carries the orders out, and reports the ends.

    Args:
        limits: of the account.
        keys: gives a key that was never used, for each creation.
        rng: for the jitter of pauses.
        now: the time.

    Attributes:
        closing: True once `close` was called.
    """

    def __init__(self, limits: FleetLimits, keys: Iterator[str], rng: random.Random, now: float) -> None:
        self._limits = limits
        self._keys = keys
        self._rng = rng
        self._members: dict[str, _Member] = {}  # by key
        # The bucket begins with one creation: an earlier owner may just have used the rest.
        self._bucket_s = now + (limits.burst - 1) / limits.per_s
        self._pause_s = self._refused_s = -inf  # until then nothing is made; and nobody may hope for it
        self._failures = self._find_failures = 0  # in a row
        self._knows = False  # whether the provider has listed what there is, since something was doubtful
        self._doubt_s = -inf  # until then something may appear that is not known; -inf: no
        self._finding = self._is_stale = False  # stale: it was asked before something became doubtful
        self._find_s = now
        self._made = self._failed = self._destroyed = 0
        self.closing = False

    # -- decisions ---------------------------------------------------------------------------------

    def decide(self, pool: Mapping[str, Usage], wanted: int, now: float) -> Orders:
        """Return what to do.

        Args:
            pool: the instances that are in the pool, by id.
            wanted: how many slots callers wait for that an instance could serve, and nobody else is making.
            now: the time.
        """
        removed = self._look_at(pool, wanted, now)
        destroyed = [each for each in self._in(_Phase.ENDING) if not each.busy and now >= each.retry_s - _ROUNDING]
        for each in destroyed:
            each.busy = True
        created, next_s = self._created(pool, wanted, now)
        find = self._wants_list and now >= self._find_s - _ROUNDING
        self._finding = self._finding or find
        return Orders(
            tuple(created),
            tuple(removed),
            tuple(each.id for each in destroyed),
            find,
            self._due_s(next_s, now),
        )

    def may_make(self, now: float) -> bool:
        """Return whether a caller without an endpoint may hope for one: one is being made, or there will be room."""
        if self.closing or now < self._refused_s:
            return False
        return self._room > 0 or any(each.phase is not _Phase.SERVING for each in self._members.values())

    @property
    def coming(self) -> int:
        """How many slots are being made."""
        return sum(1 for _ in self._in(_Phase.CREATING)) * self._limits.slots

    @property
    def counts(self) -> FleetCounts:
        """How many there are."""
        number = {phase: sum(1 for _ in self._in(phase)) for phase in _Phase}
        return FleetCounts(
            creating=number[_Phase.CREATING],
            serving=number[_Phase.SERVING],
            leaving=number[_Phase.LEAVING],
            ending=number[_Phase.ENDING],
            made=self._made,
            failed=self._failed,
            destroyed=self._destroyed,
        )

    # -- what has ended ----------------------------------------------------------------------------

    def created(self, key: str, id: str) -> None:
        """The provider has made an instance. It is not ready yet."""
        self._members[key].id = id

    def ready(self, key: str, lives_s: float, now: float) -> bool:
        """It can be used. Return whether it joins the pool; not if the fleet is closing: it is destroyed then."""
        member = self._members[key]
        self._failures = 0
        if self.closing:
            self._end(member, now)
            return False
        member.phase = _Phase.SERVING
        member.idle_s = now
        member.until_s = now + lives_s
        self._made += 1
        return True

    def failed(self, key: str, now: float, *, refused: bool = False, after_s: float = 0.0) -> None:
        """An instance was not made, or did not get ready: then it is destroyed. If it may exist unknown, it is looked
        for."""
        member = self._members[key]
        self._failed += 1
        if member.id:
            self._end(member, now)
        else:
            del self._members[key]
            self._knows, self._is_stale = False, self._finding
            self._doubt_s, self._find_s = now + 2 * _FIND_S, now
        self._failures += 1
        self._pause_s = max(self._pause_s, now + self._pause_of(self._failures, after_s))
        if refused:
            self._refused_s = self._pause_s

    def destroyed(self, id: str) -> None:
        """An instance does not exist any more."""
        for member in [each for each in self._members.values() if each.id == id]:
            del self._members[member.key]
            self._destroyed += 1

    def not_destroyed(self, id: str, now: float) -> None:
        """It may still exist. It is destroyed again after a while."""
        for member in self._members.values():
            if member.id == id:
                member.busy = False
                member.tries += 1
                member.retry_s = now + self._pause_of(member.tries, 0.0)

    def found(self, keys: Mapping[str, str], serving: frozenset[str], now: float) -> tuple[str, ...]:
        """The provider has listed what exists: keys by id. Return the ids of instances that have vanished.

        `serving`: the ids that were in the pool when it was asked. What is listed and not known is destroyed: an
        earlier owner has left it, or the answer to its creation was lost.
        """
        self._knows = not self._is_stale
        self._find_s = now + _FIND_S if self._knows else now
        self._finding, self._is_stale, self._find_failures = False, False, 0
        if now >= self._doubt_s:
            self._doubt_s = -inf
        known = {each.id for each in self._members.values()}
        for id, key in keys.items():
            if id not in known and key not in self._members:
                self._members[key or id] = _Member(key or id, id, _Phase.ENDING, now)
        vanished = []
        for member in self._members.values():
            if member.id in serving and member.phase is _Phase.SERVING:
                member.missing = 0 if member.id in keys else member.missing + 1
                if member.missing >= _FOUND_MISSING:
                    vanished.append(member.id)
        return tuple(vanished)

    def not_found(self, now: float, *, refused: bool = False, after_s: float = 0.0) -> None:
        """The provider has not listed what exists."""
        self._finding = self._is_stale = False
        self._find_failures += 1
        self._find_s = now + self._pause_of(self._find_failures, after_s)
        if refused:
            self._refused_s = self._find_s

    @property
    def serving(self) -> frozenset[str]:
        """The ids of the instances in the pool that get leases."""
        return frozenset(each.id for each in self._in(_Phase.SERVING))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all instances that are known."""
        return tuple(each.id for each in self._members.values() if each.id)

    def close(self) -> None:
        """Make no more, and let every instance go."""
        self.closing = True

    # -- inside ------------------------------------------------------------------------------------

    def _in(self, phase: _Phase) -> Iterator[_Member]:
        return (each for each in self._members.values() if each.phase is phase)

    @property
    def _room(self) -> int:
        return self._limits.most - len(self._members)

    def _end(self, member: _Member, now: float) -> None:
        member.phase, member.retry_s = _Phase.ENDING, now

    def _look_at(self, pool: Mapping[str, Usage], wanted: int, now: float) -> list[str]:
        """Take note of how the instances are used. Return the ids of those that the pool has to remove."""
        removed = []
        for member in list(self._in(_Phase.SERVING)):
            usage = pool.get(member.id)
            if usage is None:  # somebody has removed it
                self._end(member, now)
                continue
            if usage.in_flight or usage.leases != member.leases:
                member.leases, member.idle_s = usage.leases, now
            if usage.successes != member.successes:
                member.successes, member.failures = usage.successes, usage.failures
            is_dead = usage.ejected or usage.failures - member.failures >= _DEAD
            if self.closing or not usage.active or is_dead or now >= member.until_s - _ROUNDING:
                member.phase = _Phase.LEAVING
                removed.append(member.id)
        removed += self._surplus(pool, now) if not wanted else ()
        for member in list(self._in(_Phase.LEAVING)):
            if member.id not in pool or not pool[member.id].in_flight:
                self._end(member, now)
        return removed

    def _surplus(self, pool: Mapping[str, Usage], now: float) -> list[str]:
        """Let those go that are idle for long, of more than are kept. The one that was used last stays longest."""
        idle = sorted(self._idle(pool), key=lambda each: each.idle_s)
        late = [each for each in idle if now >= each.idle_s + self._limits.idle_s - _ROUNDING]
        gone = late[: max(0, len(idle) - self._limits.warm)]
        for each in gone:
            each.phase = _Phase.LEAVING
        return [each.id for each in gone]

    def _idle(self, pool: Mapping[str, Usage]) -> list[_Member]:
        return [each for each in self._in(_Phase.SERVING) if not pool[each.id].in_flight]

    def _created(self, pool: Mapping[str, Usage], wanted: int, now: float) -> tuple[list[str], float]:
        """Begin to make as many as are needed and allowed. Return their keys, and when time alone allows another."""
        if self.closing or not self._knows:
            return [], inf
        limits = self._limits
        spare = max(0, limits.warm - len(self._idle(pool)))
        needed = ceil(wanted / limits.slots) + spare - sum(1 for _ in self._in(_Phase.CREATING))
        needed = min(needed, self._room)
        keys: list[str] = []
        tolerance_s = (limits.burst - 1) / limits.per_s
        while len(keys) < needed and now >= max(self._pause_s, self._bucket_s - tolerance_s) - _ROUNDING:
            self._bucket_s = max(self._bucket_s, now) + 1.0 / limits.per_s
            key = next(self._keys)
            self._members[key] = _Member(key, "", _Phase.CREATING, now)
            keys.append(key)
        return keys, max(self._pause_s, self._bucket_s - tolerance_s) if len(keys) < needed else inf

    @property
    def _wants_list(self) -> bool:
        """Whether the provider should list what exists, when it is time. An account that nobody uses is left alone."""
        if self._finding or self.closing:
            return False
        return bool(self._members) or self._doubt_s > -inf or not self._knows

    def _due_s(self, next_s: float, now: float) -> float:
        due_s = min(next_s, self._find_s if self._wants_list else inf)
        for member in self._members.values():
            if member.phase in (_Phase.SERVING, _Phase.LEAVING):
                due_s = min(due_s, now + _LOOK_S)
            elif member.phase is _Phase.ENDING and not member.busy:
                due_s = min(due_s, member.retry_s)
        if now < self._refused_s:
            due_s = min(due_s, self._refused_s)
        return max(due_s, now)

    def _pause_of(self, failures: int, after_s: float) -> float:
        longest_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10))
        return max(longest_s * self._rng.uniform(0.5, 1.0), min(after_s, LONGEST_ASKED_S))
