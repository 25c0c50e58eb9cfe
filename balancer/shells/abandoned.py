"""Abandoned leases: those that no code can release any more.

A lease that can still be released is an object that something refers to: a variable, a `with` block, a suspended
generator, another thread. If only the ledger refers to a lease, it is abandoned. The check costs nothing per lease, and
is right for leases that another thread releases. docs/decisions/core.md has the reasons.
"""

import sys
from collections.abc import Iterable, Mapping

from balancer.endpoint import Lease

__all__ = ["AbandonedLeaseScan", "abandoned"]

_COSTS = 8  # in the long run, at most so many leases are scanned for each acquire that waits
_EVERY_S = 1.0
_GRACE_S = 1.0


def _references(leases: Iterable[object]) -> Iterable[int]:
    return map(sys.getrefcount, leases)


# The count of references to an object that only a dict refers to. Counting itself adds some.
_NOBODY = max(_references({1: object()}.values())) if hasattr(sys, "getrefcount") else 0


def abandoned(out: Mapping[int, Lease], now: float) -> list[Lease]:
    """Return those of the leases in `out` that are abandoned; O(those in `out`).

    No code can get an abandoned lease again. But if `acquire` returned it, its holder may still release it by its id.
    So such a lease counts only without terms (e.g. a holder), and only a second after its grant. A lease of a block, or
    one that no caller got, counts always: the acquire was cut short, e.g. by an interrupt.
    """
    if not _NOBODY:  # not CPython: reference counts are unknown
        return []
    nobodys = [out[id] for id, count in zip(out, _references(out.values()), strict=True) if count <= _NOBODY]
    return [lease for lease in nobodys if not _may_be_ended_by_id(lease, now)]


def _may_be_ended_by_id(lease: Lease, now: float) -> bool:
    was_taken = hasattr(lease, "taken") and not hasattr(lease, "entered")
    return was_taken and (lease.terms is not None or now - lease.granted_s < _GRACE_S)


class AbandonedLeaseScan:
    """Decides when to scan. A scan costs O(leases out), so only some callers make one."""

    __slots__ = ("_due_s", "_since")

    def __init__(self) -> None:
        self._since = 0
        self._due_s = 0.0

    def is_due(self, out: int, now: float) -> bool:
        """Return whether a caller that found no free slot should scan the `out` leases that are out."""
        self._since += 1
        if self._since * _COSTS < out and now < self._due_s:
            return False
        self._since, self._due_s = 0, now + _EVERY_S
        return True
