"""Grace of a new coordinator: it grants nothing until the members of the one before have told what they hold.

Decides when that is over, and what the next coordinator must know (`CoordinatorRecord`). It must not know what is held.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from balancer.cluster.protocol.messages import MemberId
from balancer.cluster.protocol.times import ClusterTimes

__all__ = ["CoordinatorRecord", "Grace"]


@dataclass(frozen=True, slots=True)
class CoordinatorRecord:
    """What a coordinator must still know after its restart.

    A shell keeps it, on a disk or with whoever restarts the coordinator, *before* it sends what the coordinator says.

    Args:
        epoch: its own; the next coordinator's must be greater.
        ttl_s: for how long, at most, it may have let its members act.
        holders: all members that may hold something; None: it does not know all of them itself.
    """

    epoch: int
    ttl_s: float
    holders: frozenset[MemberId] | None = None


class Grace:
    """The time in which there may be leases out that were not told yet.

    Args:
        epoch: of the coordinator.
        times: how long promises last.
        last: what the coordinator before left; None: nothing is known of it, so the whole grace passes.
        now: the time.

    Attributes:
        over: False while nothing is to be granted.

    Raises:
        ValueError: `epoch` is not greater than that of `last`.
    """

    def __init__(self, epoch: int, times: ClusterTimes, last: CoordinatorRecord | None, now: float) -> None:
        if last is not None and epoch <= last.epoch:
            raise ValueError(
                f"epoch is {epoch}; the last coordinator's was {last.epoch}, and this one's must be greater"
            )
        self._epoch = epoch
        self._ttl_s = times.ttl_s
        self._awaited = None if last is None or last.holders is None else set(last.holders)
        grace_s = max(times.grace_s, last.ttl_s) if last is not None else times.grace_s
        # Whoever holds something was in touch with the coordinator before this one, so it has stopped by then.
        self._until_s = now + grace_s
        self.over = False

    @property
    def due_s(self) -> float:
        """When it ends at the latest; `inf`: it is over."""
        return inf if self.over else self._until_s

    def heard_of(self, member: MemberId) -> bool:
        """Learn that a member has told what it holds, or is dead; return whether it was waited for."""
        if self._awaited is None or member not in self._awaited:
            return False
        self._awaited.discard(member)
        return True

    def may_end(self, now: float) -> bool:
        """Return whether it is enough: all members that were known have told, or the time is over."""
        all_told = self._awaited is not None and not self._awaited
        return not self.over and (all_told or now >= self._until_s)

    def end(self) -> None:
        """Let it be over."""
        self.over = True
        self._awaited = set()

    def record(self, members: Iterable[MemberId]) -> CoordinatorRecord:
        """Return what is to be kept while these are the members."""
        holders = None
        if self._awaited is not None:
            holders = frozenset(members).union(self._awaited)
        return CoordinatorRecord(self._epoch, self._ttl_s, holders)
