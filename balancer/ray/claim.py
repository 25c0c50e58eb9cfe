"""Claim of a pool's actor to be the only one, in a store that outlives it: no slot has two owners.

Ray starts one actor of a name at a time, but the one before may live on at a node that is cut off. So the actor that
starts takes the claim, whoever has it, and then reads its predecessor's record. An actor writes its record first, and
then reads the claim. So either the predecessor sees that it has lost the claim and sends nothing, or the next actor
sees its record, and waits for all processes in it.

An actor sends nothing if its claim was not confirmed for `SURE_SHARE` of a TTL, counted from before it asked. The grace
of the next one is longer than a TTL by as much. All of these are durations of one clock each.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any, Final

from balancer.cluster.protocol import ClusterTimes, CoordinatorRecord
from balancer.cluster.protocol.grace import dump_record, parse_record
from balancer.cluster.protocol.times import EXPIRY_SHARE

__all__ = ["ActorClaim", "ControlStore", "claim_times"]

SURE_SHARE: Final = 0.2
_NAMESPACE: Final = b"balancer"
_LOOKS: Final = 4.0  # within the time for which an actor is sure


def claim_times(ttl_s: float) -> ClusterTimes:
    """Return the times of a pool whose actor sends nothing when it is not sure. Raises ValueError.

    The grace allows for clocks whose rates differ as much as those of members may.
    """
    return ClusterTimes(ttl_s, grace_s=(1 + SURE_SHARE / EXPIRY_SHARE) * ttl_s)


class ControlStore:
    """Texts by name, in the control store of Ray, which outlives an actor and its node.

    It is an experimental part of Ray, so it is used only here. Each call raises OSError if it cannot be reached.
    """

    def __init__(self) -> None:
        from ray.experimental import internal_kv

        self._kv: Any = internal_kv

    def get(self, name: str) -> str | None:
        """Return a text; None if there is none."""
        found: bytes | None = self._ask(self._kv._internal_kv_get, name.encode())
        return None if found is None else found.decode()

    def put(self, name: str, text: str) -> None:
        """Write a text."""
        self._ask(self._kv._internal_kv_put, name.encode(), text.encode(), overwrite=True)

    def drop(self, name: str) -> None:
        """Delete a text."""
        self._ask(self._kv._internal_kv_del, name.encode())

    def _ask(self, call: Callable[..., Any], *given: bytes, **options: bool) -> Any:
        try:
            return call(*given, namespace=_NAMESPACE, **options)
        except Exception as error:
            raise OSError(f"Ray's control store cannot be reached: {type(error).__name__}: {error}") from None


class ActorClaim:
    """The claim of one life of an actor. It is taken when this object is made.

    Args:
        pool: its name; the same for all lives.
        times: see `claim_times`.
        store: where the claim and the records are. It lives as long as the processes that lease.
        clock: seconds.

    Attributes:
        last: the predecessor's record; None: it cannot be read.
        lost: another actor has the claim, or the store has forgotten it.
        period_s: how often to `look`.

    Raises:
        OSError: the store cannot be reached.
    """

    def __init__(self, pool: str, times: ClusterTimes, store: ControlStore, clock: Callable[[], float]) -> None:
        self._name = f"{pool}/coordinator"
        self._records = f"{pool}/record/"
        self._life = secrets.token_hex(8)
        self._times = times
        self._store = store
        self._clock = clock
        self._until_s = -inf
        self._trouble = ""
        self.lost = False
        self.period_s = SURE_SHARE * times.ttl_s / _LOOKS
        self._before = store.get(self._name)
        store.put(self._name, self._life)
        self.last: CoordinatorRecord | None = CoordinatorRecord(0, times.ttl_s, frozenset())
        if self._before is not None:
            self.last = parse_record(store.get(self._records + self._before) or "")
        self.look()

    @property
    def sure(self) -> bool:
        """Whether this actor may send."""
        return not self.lost and self._clock() < self._until_s

    def why_not(self) -> str:
        """Return why this actor may not send, for people."""
        if self.lost:
            return "this actor has lost its claim: another one hosts the pool"
        why = self._trouble or "Ray's control store does not answer in time"
        return f"it cannot confirm that no other actor hosts this pool, so it grants nothing: {why}"

    def look(self) -> bool:
        """Look whether this actor still has the claim, and return that; it is sure from now on then. Raises OSError."""
        asked_s = self._clock()
        try:
            found = self._store.get(self._name)
        except OSError as error:
            self._trouble = str(error)
            raise
        self._trouble = ""
        if found != self._life:
            self.lost = True
        else:  # `keep` and `look` run in two threads: the later answer may be the older one
            self._until_s = max(self._until_s, asked_s + SURE_SHARE * self._times.ttl_s)
        return not self.lost

    def keep(self, record: CoordinatorRecord) -> None:
        """Write the record. Raises OSError, also if another actor has the claim: then nothing is sent."""
        # The next actor's TTL may be shorter, but it must wait as long as this one's promises last.
        told = replace(record, ttl_s=self._times.grace_s)
        self._store.put(self._records + self._life, dump_record(told))
        if not self.look():
            raise OSError(self.why_not())
        if self._before is not None:
            with suppress(OSError):  # nobody reads it any more; the next record tries again
                self._store.drop(self._records + self._before)
                self._before = None
