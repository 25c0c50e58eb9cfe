"""Endpoint trust: votes on a run, endpoints that are outvoted, and endpoints that must go.

Decides what two, three or four answers to the same run say together, and when an endpoint has lied too often: if
two programs have each outvoted it, and nobody else, or if it is wrong on a program whose answer is known.
Pure, and not thread-safe: it must not know threads, leases, clocks or stores.
"""

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
LIMITS_IN_A_ROW = 8  # so many runs that all met a limit, and the endpoint is asked for what is known
LONG_ROW = 50  # agreements in a row: one that lies once in ten has such a row 5 times in 1000


def said(execution: Execution) -> bytes | None:
    """Return what an endpoint says of a program, in few bytes; None if two honest ones may well differ in it.

    Limits of time, memory and output depend on the machine.
    """
    if execution.status is Status.COMPILE_ERROR:
        return None if execution.doubtful else NO_COMPILE
    if execution.status is not Status.FINISHED or execution.doubtful:
        return None
    return b"%d " % (execution.exit_code or 0) + blake2b(execution.stdout, digest_size=16).digest()


# -- several answers to one run ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vote:
    """What an endpoint said of a run; None: nothing that can be compared."""

    endpoint: str
    said: bytes | None


@dataclass(frozen=True, slots=True)
class AskElsewhere:
    """Ask an endpoint that was not asked yet."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Ask `endpoint` once more: there is no third one."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What is right, who said so, and who is outvoted."""

    said: bytes
    agreed: frozenset[str]
    outvoted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Nobody can tell. `differ`: those that said different things; none if there was nothing to compare."""

    differ: frozenset[str] = field(default=frozenset())


def next_check(words: Sequence[Vote], *, more: bool) -> AskElsewhere | AskAgain | Settled | Unsettled:
    """Return what to do after these answers.

    Two that agree are enough. Two that differ are settled by a third endpoint. Where there is none each is asked once
    more, and the one that stays with what it said is right if the other does not. A majority is always one of answers,
    so a program that says something else each time outvotes nobody.

    Args:
        words: in the order in which they came, at least one.
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
    row: int = 0  # agreements since it was outvoted last
    limits: int = 0  # runs in a row that met a limit
    accused: bool = False
    witnesses: set[Hashable] = field(default_factory=set)


class Trust:
    """What is known of the endpoints of a run.

    Args:
        settings: how often runs are made again.
        endpoints: the names of those that are there from the start.

    Attributes:
        ejected: those that lied too often. One endpoint is always kept.
    """

    def __init__(self, settings: VerifySettings, endpoints: Iterable[str]) -> None:
        self._settings = settings
        self._records = defaultdict(_Record, {name: _Record() for name in endpoints})  # others may come later
        self._accused_by: dict[Hashable, set[str]] = {}
        self._unsteady: set[Hashable] = set()
        self.ejected: frozenset[str] = frozenset()

    def verifies(self, endpoint: str, drawn: float) -> bool:
        """Return whether a run of `endpoint` is made again.

        Args:
            endpoint: its name.
            drawn: a random number, 0 to 1: the share decides by it.
        """
        record = self._records[endpoint]
        probation = max(LONG_ROW, self._settings.first) if record.accused else self._settings.first
        return record.row < probation or drawn < self._settings.share

    def is_stuck(self, endpoint: str, status: Status) -> bool:
        """Hear how a run ended there. Return whether it is time to ask what it says of a program that meets no limit.

        Limits are never compared, for they depend on the machine: an endpoint that tells one of everything would
        never be outvoted.
        """
        record = self._records[endpoint]
        record.limits = record.limits + 1 if status in LIMITS else 0
        return record.limits > 0 and record.limits % LIMITS_IN_A_ROW == 0

    def agreed(self, endpoint: str) -> bool:
        """Hear that another endpoint said the same. Return whether all that it has said before is believed now.

        That many in a row also clear it of what it was accused of, so rare mischances of programs do not add up.
        """
        record = self._records[endpoint]
        record.row += 1
        if record.row % LONG_ROW:
            return False
        record.accused = False
        record.witnesses.clear()
        return True

    def outvoted(self, endpoint: str, witness: Hashable | None) -> bool:
        """Hear that two others said otherwise. Return whether the endpoint is ejected for it.

        Args:
            endpoint: its name.
            witness: the program; None: one whose word is not enough, e.g. a wrong submission, which may say anything.
        """
        record = self._records[endpoint]
        record.row, record.accused = 0, True
        if witness is None:
            return False
        record.witnesses.add(witness)
        self._accused_by.setdefault(witness, set()).add(endpoint)
        # A program that finds fault with two of them is as likely to be at fault itself.
        good = sum(len(self._accused_by[each]) == 1 for each in record.witnesses - self._unsteady)
        return good >= WITNESSES and self._eject(endpoint)

    def unsteady(self, witness: Hashable) -> None:
        """Hear that a program says now this, now that: it is no witness, and never was."""
        self._unsteady.add(witness)

    def failed(self, endpoint: str) -> bool:
        """Hear that it was wrong on a program whose answer is known. Return whether it is ejected for it."""
        return self._eject(endpoint)

    def _eject(self, endpoint: str) -> bool:
        if endpoint in self.ejected or len(self.ejected) + 1 >= len(self._records):
            return False
        self.ejected |= {endpoint}
        return True
