"""Leader election of a pool's coordinators, in Ray's control store.

Decides that there is one at a time. Ray starts an actor again when it believes that the old one is dead; if the old
one's node is only cut off, there are two. So a coordinator says in the store that it is the one, looks every now and
then whether it still is, and keeps silent when it has not been told so for `LEADER_SHARE` of a TTL. The next one waits
for that much longer than a TTL for members that do not tell. It must not know what a coordinator does, nor Ray.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Final, Protocol

from balancer.cluster.protocol import ClusterTimes, CoordinatorRecord
from balancer.cluster.tcp.record_file import dump_record, parse_record

__all__ = ["LEADER_SHARE", "KeyValueStore", "LeaderClaim", "leader_times"]

LEADER_SHARE: Final = 0.2
"""A coordinator that was not told for this part of a TTL that it is the one says nothing any more."""


class KeyValueStore(Protocol):
    """Texts by name, which outlive this process. One change after the other, and whoever reads sees the last one.

    Each call raises OSError if the store cannot be reached.
    """

    def get(self, name: str) -> str | None:
        """Return a text; None: there is none."""
        ...

    def put(self, name: str, text: str) -> None:
        """Write a text."""
        ...

    def drop(self, name: str) -> None:
        """Forget a text."""
        ...


def leader_times(ttl_s: float) -> ClusterTimes:
    """Return the times of a pool whose coordinators keep silent when they are not sure. Raises ValueError."""
    return ClusterTimes(ttl_s, grace_s=(1 + LEADER_SHARE) * ttl_s)


class LeaderClaim:
    """That this coordinator is the one of a pool.

    It is written down before it is read what the coordinator before has left, and that one reads who is the one after
    it has written. So either it sees that it is not the one any more, and sends nothing, or this one sees what it
    wrote.

    Args:
        pool: its name, of all that share the store.
        times: see `leader_times`.
        kept: the store.
        clock: seconds.

    Attributes:
        last: what the coordinator before left; None: it cannot be read. No coordinator before: nobody holds anything.

    Raises:
        OSError: the store cannot be reached.
    """

    def __init__(self, pool: str, times: ClusterTimes, kept: KeyValueStore, clock: Callable[[], float]) -> None:
        self._owner, self._records = f"{pool}/coordinator", f"{pool}/record/"
        self._times = times
        self._kept = kept
        self._clock = clock
        self._life = secrets.token_hex(8)
        self._until_s = -inf
        self.usurped = False
        self._before = kept.get(self._owner)
        kept.put(self._owner, self._life)
        if self._before is None:
            self.last: CoordinatorRecord | None = CoordinatorRecord(0, times.ttl_s, frozenset())
        else:
            text = kept.get(self._records + self._before)
            self.last = None if text is None else parse_record(text)
        self.look()

    @property
    def sure(self) -> bool:
        """Whether this coordinator may speak."""
        return self._clock() < self._until_s

    def look(self) -> bool:
        """Find out whether this coordinator is still the one. Raises OSError."""
        began_s = self._clock()
        if self._kept.get(self._owner) == self._life:
            self._until_s = began_s + LEADER_SHARE * self._times.ttl_s
        else:
            self._until_s, self.usurped = -inf, True
        return not self.usurped

    def keep(self, record: CoordinatorRecord) -> None:
        """Write the record down. Raises OSError, also if another coordinator is the leader: then nothing is sent."""
        # The next coordinator, whose own TTL may be less, must wait for as long as this one's promises last.
        self._kept.put(self._records + self._life, dump_record(replace(record, ttl_s=self._times.grace_s)))
        if not self.look():
            raise OSError("another coordinator has this pool by now")
        if self._before is not None:
            self._kept.drop(self._records + self._before)
            self._before = None
