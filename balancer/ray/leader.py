"""Leader election of a pool's coordinators, in Ray's control store: at most one is active.

Ray restarts an actor when it believes that the old one is dead. If the old node is only cut off, there are two actors.
So a coordinator writes its claim into the store, and checks it regularly. It sends nothing if it could not confirm its
claim for `LEADER_SHARE` of a TTL. Its successor's grace is longer than a TTL by the same time.
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
"""Share of a TTL after which a coordinator that could not confirm its claim sends nothing."""


class KeyValueStore(Protocol):
    """Texts by name, which outlive this process. Changes happen one after the other, and a read sees the last one.

    Each call raises OSError if the store cannot be reached.
    """

    def get(self, name: str) -> str | None:
        """Return a text; None if there is none."""
        ...

    def put(self, name: str, text: str) -> None:
        """Write a text."""
        ...

    def drop(self, name: str) -> None:
        """Delete a text."""
        ...


def leader_times(ttl_s: float) -> ClusterTimes:
    """Return the times of a pool whose coordinators send nothing when they are not sure. Raises ValueError."""
    return ClusterTimes(ttl_s, grace_s=(1 + LEADER_SHARE) * ttl_s)


class LeaderClaim:
    """A coordinator's claim to be the only one of a pool.

    A new coordinator first writes its claim, then reads its predecessor's record. The predecessor first writes its
    record, then reads the claim. So either the predecessor sees the new claim and sends nothing, or the new coordinator
    sees its record.

    Args:
        pool: its name; the same for all coordinators.
        times: see `leader_times`.
        kept: the store.
        clock: seconds.

    Attributes:
        last: the predecessor's record; None: it cannot be read. Without a predecessor: a record without leases.

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
        """Whether this coordinator may send."""
        return self._clock() < self._until_s

    def look(self) -> bool:
        """Check whether this coordinator is still the leader, and return it. Raises OSError."""
        began_s = self._clock()
        if self._kept.get(self._owner) == self._life:
            self._until_s = began_s + LEADER_SHARE * self._times.ttl_s
        else:
            self._until_s, self.usurped = -inf, True
        return not self.usurped

    def keep(self, record: CoordinatorRecord) -> None:
        """Write the record. Raises OSError, also if another coordinator is the leader: then nothing is sent."""
        # The next coordinator's TTL may be shorter, but it must wait as long as this one's promises last.
        self._kept.put(self._records + self._life, dump_record(replace(record, ttl_s=self._times.grace_s)))
        if not self.look():
            raise OSError("another coordinator serves this pool now")
        if self._before is not None:
            self._kept.drop(self._records + self._before)
            self._before = None
