"""Endpoint trust: votes on a run, outvoted endpoints, and endpoints to eject. Not thread-safe, but for its lock.

Decides what two, three or four answers to the same run mean together, and when an endpoint has lied too often. An
endpoint is ejected if two programs outvoted it that outvoted no other endpoint, or if it is wrong on a program whose
answer is known.
"""

import threading
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from balancer.program import Execution, Status
from balancer.settings.pipeline import VerifySettings

__all__ = [
    "LIMITS",
    "NO_COMPILE",
    "AskAgain",
    "AskElsewhere",
    "Settled",
    "Trust",
    "Unsettled",
    "Vote",
    "next_check",
    "said",
]

WITNESSES = 2  # programs that must each have outvoted an endpoint
NO_COMPILE = b"does not compile"
LIMITS = frozenset({Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT})
LIMITS_IN_A_ROW = 8  # runs in a row that met a limit, after which the endpoint is tested
LONG_ROW = 50  # agreements in a row; an endpoint that lies once in ten has such a row 5 times in 1000


def said(execution: Execution) -> bytes | None:
    """Return a digest of an endpoint's answer; None if two honest endpoints may differ in it.

    They may differ in limits of time, memory and output, which depend on the machine.
    """
    if execution.status is Status.COMPILE_ERROR:
        return None if execution.doubtful else NO_COMPILE
    if execution.status is not Status.FINISHED or execution.doubtful:
        return None
    return b"%d " % (execution.exit_code or 0) + blake2b(execution.stdout, digest_size=16).digest()


# -- several answers to one run ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vote:
    """An endpoint's answer to a run; None: it cannot be compared."""

    endpoint: str
    said: bytes | None


@dataclass(frozen=True, slots=True)
class AskElsewhere:
    """Ask an endpoint that was not asked yet."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Ask `endpoint` once more, because there is no third one."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The right answer, the endpoints that gave it, and the outvoted endpoints."""

    said: bytes
    agreed: frozenset[str]
    outvoted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """No answer can be settled. `differ`: endpoints with different answers; empty if nothing could be compared."""

    differ: frozenset[str] = field(default=frozenset())


def next_check(words: Sequence[Vote], *, more: bool) -> AskElsewhere | AskAgain | Settled | Unsettled:
    """Return the next step after these answers.

    Two equal answers are enough. Two that differ are settled by a third endpoint. Without a third one, each is asked
    again: the one that repeats its answer is right, if the other does not. A majority needs equal answers, so a program
    with random output outvotes no endpoint.

    Args:
        words: in order of arrival, at least one.
        more: whether there is an endpoint that was not asked yet.
    """
    heard = [word for word in words if word.said is not None]
    places = list(dict.fromkeys(word.endpoint for word in heard))
    if len(places) < 2:
        return AskElsewhere() if more and heard and len(words) < WITNESSES + 1 else Unsettled()
    everything = {word.said for word in heard}
    if len(everything) == 1:
        return _settled(heard, heard[0].said)
    if len(places) > 2:
        for each in heard:
            if len({word.endpoint for word in heard if word.said == each.said}) > 1:
                return _settled(heard, each.said)
        return Unsettled(frozenset(places))
    if more and len(words) <= WITNESSES + 1:
        return AskElsewhere()
    for place in places:
        if sum(word.endpoint == place for word in words) < 2:
            return AskAgain(place)
    steady = [place for place in places if len({word.said for word in heard if word.endpoint == place}) == 1]
    if len(steady) == 1:
        right = next(word.said for word in heard if word.endpoint == steady[0])
        if sum(word.said == right for word in heard) > 2:
            return _settled(heard, right)
    return Unsettled(frozenset(places))


def _settled(heard: Iterable[Vote], right: bytes | None) -> Settled:
    assert right is not None
    heard = list(heard)
    outvoted = frozenset(word.endpoint for word in heard if word.said != right)
    return Settled(right, frozenset(word.endpoint for word in heard) - outvoted, outvoted)


# -- endpoints -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Record:
    row: int = 0  # agreements since it was last outvoted
    limits: int = 0  # runs in a row that met a limit
    accused: bool = False
    witnesses: set[Hashable] = field(default_factory=set)


class Trust:
    """The record of a run's endpoints.

    Args:
        settings: how often runs are repeated.
        endpoints: names of the endpoints at the start.

    Attributes:
        ejected: endpoints that lied too often. At least one endpoint is always kept.
        lock: held by those who share the record, for each call.
    """

    def __init__(self, settings: VerifySettings, endpoints: Iterable[str]) -> None:
        self.lock = threading.Lock()
        self._settings = settings
        self._records = defaultdict(_Record, {name: _Record() for name in endpoints})  # endpoints may be added later
        self._accused_by: dict[Hashable, set[str]] = {}
        self._unsteady: set[Hashable] = set()
        self.ejected: frozenset[str] = frozenset()

    def verifies(self, endpoint: str, drawn: float) -> bool:
        """Return whether a run of `endpoint` is repeated.

        Args:
            endpoint: its name.
            drawn: a random number from 0 to 1, compared with the share.
        """
        record = self._records[endpoint]
        probation = max(LONG_ROW, self._settings.first) if record.accused else self._settings.first
        return record.row < probation or drawn < self._settings.share

    def is_stuck(self, endpoint: str, status: Status) -> bool:
        """Record how a run ended. Return whether to test the endpoint with programs that meet no limit.

        Limits depend on the machine and are never compared. So an endpoint that always reports one would never be
        outvoted.
        """
        record = self._records[endpoint]
        record.limits = record.limits + 1 if status in LIMITS else 0
        return record.limits > 0 and record.limits % LIMITS_IN_A_ROW == 0

    def agreed(self, endpoint: str) -> bool:
        """Record an equal answer of another endpoint. Return whether all earlier answers are believed now.

        A long row of them also clears accusations, so that rare accidents do not add up.
        """
        record = self._records[endpoint]
        record.row += 1
        if record.row % LONG_ROW:
            return False
        record.accused = False
        record.witnesses.clear()
        return True

    def outvoted(self, endpoint: str, witness: Hashable | None) -> bool:
        """Record that two others answered differently. Return whether the endpoint is ejected.

        Args:
            endpoint: its name.
            witness: the program. None: a program that is no witness, e.g. a wrong submission.
        """
        record = self._records[endpoint]
        record.row, record.accused = 0, True
        if witness is None:
            return False
        record.witnesses.add(witness)
        self._accused_by.setdefault(witness, set()).add(endpoint)
        # A program that outvoted two endpoints is probably at fault itself.
        good = sum(len(self._accused_by[each]) == 1 for each in record.witnesses - self._unsteady)
        return good >= WITNESSES and self.failed(endpoint)

    def unsteady(self, witness: Hashable) -> None:
        """Record that the output of a program varies. It is no witness, also for earlier votes."""
        self._unsteady.add(witness)

    def failed(self, endpoint: str) -> bool:
        """Record a proof that an endpoint lies. Return whether it is ejected: one endpoint is always kept."""
        if endpoint in self.ejected or len(self.ejected) + 1 >= len(self._records):
            return False
        self.ejected |= {endpoint}
        return True
