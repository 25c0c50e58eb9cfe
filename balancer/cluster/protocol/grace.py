"""Grace of a new coordinator: it grants nothing until the members of the previous one have reported their leases."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any

from balancer.cluster.protocol.messages import MemberId
from balancer.cluster.protocol.times import ClusterTimes

__all__ = ["CoordinatorRecord", "Grace", "dump_record", "parse_record"]


@dataclass(frozen=True, slots=True)
class CoordinatorRecord:
    """What a coordinator must know after its restart.

    A shell stores it, on a disk or with the process that restarts the coordinator, *before* it sends the coordinator's
    messages.

    Args:
        epoch: its own; the next coordinator's must be greater.
        ttl_s: the longest time, in seconds, that it may have let its members act.
        holders: all members that may hold leases; None: it does not know all of them.
        drained: the names of endpoints that were drained, and were not added back.
    """

    epoch: int
    ttl_s: float
    holders: frozenset[MemberId] | None = None
    drained: frozenset[str] = frozenset()


def dump_record(record: CoordinatorRecord) -> str:
    """Return a record as text."""
    members = None if record.holders is None else sorted(record.holders)
    said = {"epoch": record.epoch, "ttl_s": record.ttl_s, "holders": members, "drained": sorted(record.drained)}
    return json.dumps(said)


def parse_record(text: str) -> CoordinatorRecord | None:
    """Return the record that `dump_record` wrote, or None if it is not one."""
    try:
        data: Any = json.loads(text)
        members = data["holders"]
        told = None if members is None else frozenset(MemberId(str(name), str(life)) for name, life in members)
        return CoordinatorRecord(
            int(data["epoch"]), float(data["ttl_s"]), told, frozenset(map(str, data.get("drained", ())))
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


class Grace:
    """The time in which there may be leases out that are not reported yet.

    Args:
        epoch: of the coordinator.
        times: the times of the cluster.
        last: the record of the previous coordinator; None: unknown, so the whole grace must pass.
        now: the time.

    Attributes:
        over: False while nothing must be granted.

    Raises:
        ValueError: `epoch` is not greater than that of `last`.
    """

    def __init__(self, epoch: int, times: ClusterTimes, last: CoordinatorRecord | None, now: float) -> None:
        if last is not None and epoch <= last.epoch:
            raise ValueError(
                f"epoch is {epoch}; it must be greater than {last.epoch}, the epoch of the last coordinator"
            )
        self._epoch = epoch
        self._ttl_s = times.ttl_s
        self._awaited = None if last is None or last.holders is None else set(last.holders)
        grace_s = max(times.grace_s, last.ttl_s) if last is not None else times.grace_s
        # Every holder had contact with the previous coordinator, so it has stopped by then.
        self._until_s = now + grace_s
        self.over = False

    @property
    def due_s(self) -> float:
        """When it ends at the latest; inf: it is over."""
        return inf if self.over else self._until_s

    def heard_of(self, member: MemberId) -> bool:
        """Record that a member has reported its leases, or is dead. Return whether it was waited for."""
        if self._awaited is None or member not in self._awaited:
            return False
        self._awaited.discard(member)
        return True

    def may_end(self, now: float) -> bool:
        """Return whether grace may end: all known members have reported, or the time is over."""
        all_told = self._awaited is not None and not self._awaited
        return not self.over and (all_told or now >= self._until_s)

    def end(self) -> None:
        self.over = True
        self._awaited = set()

    def record(self, members: Iterable[MemberId], drained: frozenset[str]) -> CoordinatorRecord:
        """Return the record to store while these are the members, and these endpoints are drained."""
        holders = None
        if self._awaited is not None:
            holders = frozenset(members).union(self._awaited)
        return CoordinatorRecord(self._epoch, self._ttl_s, holders, drained)
