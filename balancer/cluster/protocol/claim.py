"""Claim to be the only server of a pool: how it is taken from a silent one, confirmed, and lost.

The claim lies in a store that outlives the servers. Each step is a generator: it yields a `StoreCall` and is sent the
answer with the time at which it came. So the order of reads and writes is here, and who carries them out is not.

A server beats: it writes a new text, again and again. One that stands by takes the claim when it has seen the same
beat for `PATIENCE_SHARE` of a TTL. A server sends nothing if its claim was not confirmed for `LEADER_SHARE` of a TTL,
counted from before it asked. Its successor's grace is longer than a TTL by as much. All of these are durations of one
clock each; no two clocks are compared.
"""

import json
from collections.abc import Generator
from dataclasses import replace
from math import inf
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

from balancer.cluster.protocol.grace import CoordinatorRecord
from balancer.cluster.protocol.messages import MemberId
from balancer.cluster.protocol.times import EXPIRY_SHARE, ClusterTimes

__all__ = [
    "LEADER_SHARE",
    "PATIENCE_SHARE",
    "ClaimWatch",
    "ServerClaim",
    "StoreCall",
    "claim_times",
    "dump_record",
    "life_of",
    "parse_record",
]

LEADER_SHARE: Final = 0.2
"""Share of a TTL after which a server that could not confirm its claim sends nothing."""

PATIENCE_SHARE: Final = 0.3
"""Share of a TTL after which a server without a new beat counts as dead. The rates of two clocks may differ by 1.5."""

_OVER: Final = "over"  # the last beat of a server that ends in order

T = TypeVar("T")


class StoreCall(NamedTuple):
    """A call of a store: "get" and "drop" a name, "put" a text, "swap" `before` for `text` if it is that still."""

    verb: Literal["get", "put", "drop", "swap"]
    name: str
    text: str = ""
    before: str | None = None


Steps: TypeAlias = Generator[StoreCall, tuple[Any, float], T]


def claim_times(ttl_s: float) -> ClusterTimes:
    """Return the times of a pool whose servers send nothing when they are not sure. Raises ValueError.

    The grace allows for clocks whose rates differ as much as those of members may.
    """
    return ClusterTimes(ttl_s, grace_s=(1 + LEADER_SHARE / EXPIRY_SHARE) * ttl_s)


class ServerClaim:
    """One server's claim, from one start to the next. In the store it is a text: its life, and its beat.

    A new server first takes the claim, then reads its predecessor's record. The predecessor first writes its record,
    then reads the claim. So either the predecessor sees that it has lost the claim and sends nothing, or the new server
    sees its record. The claim is taken only if its text is still the one that was seen: nobody has beaten since.

    Args:
        pool: its name; the same for all servers.
        life: a word that no other start of a server has.
        times: see `claim_times`.
        none: what to believe if nobody has the claim; None: that leases may be out.

    Attributes:
        name: of the claim in the store.
        life: as given.
        before: the text from which it took the claim, or tried to; None: nobody had it, or that record is dropped.
        last: the predecessor's record; None: it cannot be read.
        lost: another server has the claim, or the store has forgotten it.
        until_s: when it may send no more, unless it is confirmed before.
    """

    def __init__(self, pool: str, life: str, times: ClusterTimes, none: CoordinatorRecord | None = None) -> None:
        self.name = f"{pool}/coordinator"
        self.life = life
        self.before: str | None = None
        self.last: CoordinatorRecord | None = None
        self.lost = False
        self.until_s = -inf
        self._records = f"{pool}/record/"
        self._times = times
        self._none = none
        self._text: str | None = life  # of the claim
        self._count = 0  # of its beats and records: no two have one text
        self._kept: str | None = None  # its record in the store

    def take(self, before: str | None, now: float) -> Steps[bool]:
        """Take the claim whose text is `before`, or that nobody has. Return whether it is taken."""
        self.before = before
        taken, _ = yield StoreCall("swap", self.name, self.life, before)
        if not taken:
            found, _ = yield StoreCall("get", self.name)
            if life_of(found) != self.life:
                return False  # else an earlier try took it, and its answer was lost
        if before is None:
            self.last = self._none
        else:
            text, _ = yield StoreCall("get", self._records + life_of(before))
            self.last = None if text is None else parse_record(text)
        if taken:  # else it is unknown when: it is sure from its first beat on
            self._confirm(now)
        return True

    def beat(self, shown: str, now: float) -> Steps[bool]:
        """Show that it lives, with a text for people. Return whether it has the claim: it is sure from `now` on."""
        while True:
            self._count += 1
            text = f"{self.life} {self._count} {shown}"
            beaten, _ = yield StoreCall("swap", self.name, text, self._text)
            if beaten:
                self._text = text
                self._confirm(now)
                return True
            self._text, _ = yield StoreCall("get", self.name)
            if life_of(self._text) != self.life:
                return self._lose()

    def look(self, now: float) -> Steps[bool]:
        """Return whether it still has the claim: it is sure from `now` on then. For those that do not beat."""
        if (yield from self._has()):
            self._confirm(now)
        return not self.lost

    def keep(self, record: CoordinatorRecord) -> Steps[bool]:
        """Write the record. Return whether it counts: if not, nothing may be sent."""
        # The next server's TTL may be shorter, but it must wait as long as this one's promises last.
        self._count += 1
        name, text = self._records + self.life, dump_record(replace(record, ttl_s=self._times.grace_s), self._count)
        # An earlier try whose answer was lost may come late: it must not replace a newer record.
        while True:
            swapped, _ = yield StoreCall("swap", name, text, self._kept)
            if swapped:
                break
            self._kept, _ = yield StoreCall("get", name)
            if self._kept == text:
                break
        self._kept = text
        if not (yield from self._has()):
            return False
        if self.before is not None:
            yield StoreCall("drop", self._records + life_of(self.before))
            self.before = None
        return True

    def leave(self) -> Steps[None]:
        """Give up the claim, so that another one need not wait. It sends nothing from now on."""
        self._lose()
        yield StoreCall("swap", self.name, f"{self.life} {_OVER}", self._text)

    def _has(self) -> Steps[bool]:
        found, _ = yield StoreCall("get", self.name)
        return not self.lost if life_of(found) == self.life else self._lose()

    def _confirm(self, now: float) -> None:
        if not self.lost:
            self.until_s = max(self.until_s, now + LEADER_SHARE * self._times.ttl_s)

    def _lose(self) -> bool:
        self.lost, self.until_s = True, -inf
        return False


class ClaimWatch:
    """What a server that stands by sees of the one that serves.

    Args:
        claim: its own.
        ttl_s: the TTL, in seconds.

    Attributes:
        seen: the text of the claim, as last seen; None: nobody has it.
    """

    def __init__(self, claim: ServerClaim, ttl_s: float) -> None:
        self._claim = claim
        self._patience_s = PATIENCE_SHARE * ttl_s
        self._since_s = inf  # when this text was first seen
        self.seen: str | None = None

    def look(self, now: float) -> Steps[bool]:
        """Take the claim if its owner is silent, and return whether it was taken. `now`: when this began."""
        found, came_s = yield StoreCall("get", self._claim.name)
        if found is None or found != self.seen:
            self.seen, self._since_s = found, came_s
        if life_of(found) == self._claim.life:  # an earlier try took it, and its answer was lost
            return (yield from self._claim.take(self._claim.before, now))
        if found is None or found.endswith(f" {_OVER}") or now >= self._since_s + self._patience_s:
            return (yield from self._claim.take(found, now))
        return False


def life_of(text: str | None) -> str:
    """Return the life in the text of a claim; "": none."""
    return (text or "").partition(" ")[0]


def dump_record(record: CoordinatorRecord, count: int = 0) -> str:
    """Return a record as text. Texts with another `count` differ."""
    members = None if record.holders is None else sorted(record.holders)
    said = {"epoch": record.epoch, "ttl_s": record.ttl_s, "holders": members, "count": count}
    return json.dumps(said | ({"changes": record.changes} if record.changes else {}))


def parse_record(text: str) -> CoordinatorRecord | None:
    """Return the record that `dump_record` wrote, or None if it is not one."""
    try:
        data: Any = json.loads(text)
        members = data["holders"]
        told = None if members is None else frozenset(MemberId(str(name), str(life)) for name, life in members)
        changes = tuple(map(str, data.get("changes", ())))
        return CoordinatorRecord(int(data["epoch"]), float(data["ttl_s"]), told, changes)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
