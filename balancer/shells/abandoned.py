"""Abandoned leases: found when no object refers to them any more.

Decides which of the leases that are out are abandoned, and how often to look. A lease that somebody can still give back
is an object that somebody refers to: a variable, a `with` block, a suspended generator, another thread that it was
handed to. One that only the ledger refers to is nobody's. So to know costs a lease nothing, and says nothing wrong of a
lease that is given back by another thread. It must not know what becomes of them.
docs/decisions/core.md has the reasons.
"""

import sys
from collections.abc import Iterable, Mapping

from balancer.endpoint import Lease

__all__ = ["AbandonedLeaseScan", "abandoned"]

_COSTS = 8  # leases looked at for each acquire that has to wait, at most, in the long run
_EVERY_S = 1.0
_GRACE_S = 1.0


def _references(leases: Iterable[object]) -> Iterable[int]:
    return map(sys.getrefcount, leases)


# How many references are counted for what only a dict refers to: counting adds some of its own.
_NOBODY = max(_references({1: object()}.values())) if hasattr(sys, "getrefcount") else 0


def abandoned(out: Mapping[int, Lease], now: float) -> list[Lease]:
    """Return those of the leases in `out` that nobody has any more; O(those in `out`).

    Nobody can come by one of them again, for nobody has it to pass it on. But where no `with` block was ever entered it
    may be given back by its id. So one with terms, e.g. a holder, is let be, and any other one for a second.
    """
    if not _NOBODY:  # no CPython: not known
        return []
    nobodys = [out[id] for id, count in zip(out, _references(out.values()), strict=True) if count <= _NOBODY]
    return [lease for lease in nobodys if hasattr(lease, "entered") or _is_dropped(lease, now)]


def _is_dropped(lease: Lease, now: float) -> bool:
    return lease.terms is None and now - lease.granted_s >= _GRACE_S


class AbandonedLeaseScan:
    """When to look. A look costs by the leases that are out, so not every caller has one: its cost must not grow."""

    __slots__ = ("_due_s", "_since")

    def __init__(self) -> None:
        self._since = 0
        self._due_s = 0.0

    def is_due(self, out: int, now: float) -> bool:
        """Return whether a caller who finds no slot free should look at the `out` leases that are out."""
        self._since += 1
        if self._since * _COSTS < out and now < self._due_s:
            return False
        self._since, self._due_s = 0, now + _EVERY_S
        return True
