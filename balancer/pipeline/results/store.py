"""Run store: the results so far, as a log of events, so that a run that dies resumes where it stopped.

Decides what is stored of a problem beside its own log: its name, the names of its programs, a fingerprint, and what it
came to when it was settled, with the sources of the survivors. Whatever was settled is only a sum of the problem's
events: it is deleted when they change. So none need stay in memory.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, Self
from uuid import uuid4
from weakref import WeakValueDictionary

from pydantic import TypeAdapter

from balancer.core.metrics import EndpointStats, HolderStats, PoolStats, QuotaStats, SourceStats, WaitStats
from balancer.errors import ConfigError
from balancer.pipeline.results.log import EventLog, as_event
from balancer.pipeline.results.problem_log import EVENTS, ProblemLog
from balancer.pipeline.results.problem_result import GeneratorYield, ProblemResult, ProblemTally, RoundHistory
from balancer.pipeline.results.records import Answers, Leases, TraceTables, TrustStore
from balancer.problem import Checker, Problem, Submission
from balancer.program import Program

__all__ = ["LeftOutRow", "Problems", "SeenBefore", "Session", "Store"]

_OF_A_RESULT = (*EVENTS, "believed", "withdrawn", "settled", "sources")
_MET = "SELECT problem, payload, json_extract(payload, '$[0]') AS number FROM events AS met WHERE kind = 'met'"
_SETTLED = "SELECT {} FROM events AS settled WHERE kind = 'settled' AND problem = met.problem"


class SeenBefore(Enum):
    """Whether and how a problem was met before."""

    NEW = "new"
    KNOWN = "known"  # begun in an earlier session
    DONE = "done"  # with nothing left to do
    CHANGED = "changed"  # it has changed: its results are deleted


@dataclass(frozen=True, slots=True)
class LeftOutRow:
    """A row of the data set that could not be used, and why. Rows are counted from 0."""

    number: int
    why: str


_TALLY = TypeAdapter(ProblemTally)


class Problems:
    """The problems of one run. Thread-safe.

    Args:
        log: the events.
        forget: is told a problem whose results have been deleted.
    """

    def __init__(self, log: EventLog, forget: Callable[[str], object]) -> None:
        self._log = log
        self._forget = forget

    # -- meeting them --------------------------------------------------------------------------------

    def id_of(self, number: int, wanted: str) -> str:
        """Return the id of problem `number`: as before, else `wanted`, unless another problem has it."""
        known = self.at(number)
        if known is not None:
            return known.id
        return wanted if self._log.last("met", wanted) is None else f"{wanted}-row-{number}"

    def place_of(self, problem: str, wanted: int) -> int:
        """Return the number of a package: as before, else `wanted` if it is free, else the next free one."""
        met = self._log.last("met", problem)
        if met is not None:
            return int(met[0])
        return wanted if self.at(wanted) is None else self.last_place() + 1

    def meet(self, problem: Problem, number: int, fingerprint: str) -> SeenBefore:
        """Record a problem. Return how it was met before. The results of a changed problem are deleted."""
        met = self._log.last("met", problem.id)
        if met is not None and met[2] == fingerprint:
            if (self._log.last("settled", problem.id) or (False,))[0]:
                return SeenBefore.DONE
            self._log.replace(problem.id, ("settled", "sources"))
            return SeenBefore.KNOWN
        roster = [(each.name, each.accepted, each.expected) for each in problem.submissions]
        facts = (number, problem.name, fingerprint, roster, dict(problem.left_out))
        with self._log.transaction() as db:
            db.execute("DELETE FROM events WHERE kind = 'bad_row' AND json_extract(payload, '$[0]') = ?", (number,))
        self._log.replace(problem.id, ("met", *_OF_A_RESULT), [as_event(problem.id, "met", *facts)])
        if met is None:
            return SeenBefore.NEW
        self._forget(problem.id)
        return SeenBefore.CHANGED

    def at(self, number: int) -> Problem | None:
        """Return the problem at this place; None if there is none. See `met`."""
        row = self._log.row(f"{_MET} AND json_extract(payload, '$[0]') = ?", number)
        return _as_met(row) if row else None

    def last_place(self) -> int:
        """Return the last place with a problem; -1 if there are no problems."""
        sql = "SELECT COALESCE(MAX(json_extract(payload, '$[0]')), -1) FROM events WHERE kind = 'met'"
        return int(self._log.rows(sql)[0][0])

    def met(self, *, most_survivors: int | None = None, unsettled: bool = False) -> Iterator[Problem]:
        """Yield the problems by their place, without their data, limits and programs, which are not stored.

        Args:
            most_survivors: only so many, those with most survivors, in that order.
            unsettled: only those without a result.
        """
        if most_survivors is not None:
            survivors = _SETTLED.format("json_extract(payload, '$[1]')")
            order = f"ORDER BY COALESCE(({survivors}), 0) DESC, number LIMIT ?"
            yield from map(_as_met, self._log.rows(f"{_MET} {order}", most_survivors))
            return
        which = f" AND NOT EXISTS ({_SETTLED.format(1)})" if unsettled else ""
        yield from map(_as_met, self._log.pages(f"{_MET}{which} AND number > ? ORDER BY number"))

    # -- their results -------------------------------------------------------------------------------

    def settle(self, tally: ProblemTally, *, done: bool, surviving: Sequence[Program]) -> None:
        """Store the result of a problem, and programs for readers of the report."""
        sources = [(each.language, each.source, each.name) for each in surviving]
        figures = _TALLY.dump_python(tally, mode="json")
        told = as_event(tally.id, "settled", done, len(tally.survivors), figures)
        self._log.replace(tally.id, ("settled", "sources"), [told, as_event(tally.id, "sources", *sources)])

    def settled(self) -> Iterator[ProblemTally]:
        """Yield the stored results, by the problem's place."""
        result = _SETTLED.format("payload")
        sql = (
            f"SELECT ({result}) AS told, json_extract(payload, '$[0]') AS number FROM events AS met WHERE kind = 'met'"
        )
        for told, _ in self._log.pages(f"{sql} AND told IS NOT NULL AND number > ? ORDER BY number"):
            yield _TALLY.validate_python(json.loads(told)[2])

    def tally(self, problem: str) -> ProblemTally | None:
        """Return the tally of `problem`; None if there is none."""
        told = self._log.last("settled", problem)
        return _TALLY.validate_python(told[2]) if told else None

    def surviving(self, problem: str) -> list[Program]:
        """Return the surviving wrong programs of `problem`, named as their submissions."""
        found = (Program(*each) for each in self._log.last("sources", problem) or ())
        return sorted(found, key=lambda program: program.name)

    # -- what could not be used ----------------------------------------------------------------------

    def leave_out_row(self, number: int, why: str) -> None:
        """Record that a row could not be used."""
        self._log.add("", "bad_row", number, why)

    def left_out_rows(self, most: int) -> tuple[int, list[LeftOutRow]]:
        """Return the number of rows that could not be used, and the first `most` of them."""
        number = "json_extract(payload, '$[0]')"
        count = (self._log.row("SELECT COUNT(*) FROM events WHERE kind = 'bad_row'") or (0,))[0]
        rows = self._log.rows(f"SELECT payload FROM events WHERE kind = 'bad_row' ORDER BY {number} LIMIT ?", most)
        return count, [LeftOutRow(*json.loads(payload)) for (payload,) in rows]

    def leave_out_packages(self, found: Mapping[str, str]) -> None:
        """Record the packages that cannot be judged, name -> why. Replaces those of an earlier session."""
        self._log.add("", "bad_packages", dict(sorted(found.items())))

    def left_out_packages(self) -> dict[str, str]:
        """Return the packages that could not be judged, name -> why."""
        return dict((self._log.last("bad_packages") or ({},))[0])


def _as_met(row: tuple[Any, ...]) -> Problem:
    identity, payload, _ = row
    _, name, _, submissions, left_out = json.loads(payload)
    known = tuple(Submission(each, Program("", "", each), *kind) for each, *kind in submissions)
    return Problem(identity, name, Path(), None, None, (), (), Checker(), known, left_out)


# -- the run -------------------------------------------------------------------------------------------


_AS_JSON = (
    PoolStats, EndpointStats, WaitStats, QuotaStats, SourceStats, HolderStats, ProblemTally, RoundHistory,
    GeneratorYield,
)  # fmt: skip
_SIGNATURE = [
    *EVENTS,
    *ProblemResult("", "", (), ()).counts,
    *((kind.__name__, [each.name for each in fields(kind)]) for kind in _AS_JSON),
]
"""What events hold. Results of other fields are those of another version."""


@dataclass(frozen=True, slots=True)
class Session:
    """One process's part of a run; `pool` is a `PoolStats` as a dict, or None if the session did not end normally."""

    id: str
    strategy: str
    slots: int
    pool: dict[str, Any] | None
    complete: bool


class Store:
    """The results in one folder. Thread-safe; one process at a time.

    Args:
        folder: created if it is missing.
        fresh: delete the earlier run's database. Nothing else in the folder changes, and nothing at all while another
            process uses it.

    Raises:
        ConfigError: another process uses it, it holds files but no run, another version made it, or it cannot be
            written.

    Attributes:
        log: the events.
        problems: the problems and their results.
        leases: what ran where and when.
        answers: answers of a model.
        trust: endpoints that lied, and the problems they had a part in.
        trace: the sink of the trace of the run's pool.

    Every method raises BalancerError, one line, if the database fails, e.g. because the disk is full.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._logs: WeakValueDictionary[str, ProblemLog] = WeakValueDictionary()
        self._last: ProblemLog | None = None
        self.log = EventLog(folder, str(_SIGNATURE), fresh=fresh)
        self.problems = Problems(self.log, self.forget)
        self.leases = Leases(self.log)
        self.answers = Answers(self.log)
        self.trust = TrustStore(self.log)
        self.trace = TraceTables(self.log)
        try:
            self.withdraw()
        except BaseException:
            self.log.close()
            raise

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the run as a whole --------------------------------------------------------------------------

    def claim(self, fingerprint: Mapping[str, str]) -> None:
        """Record what is judged here, or check that it is the same as before.

        Raises:
            ConfigError: a line that names the differences.
        """
        before = self.fingerprint
        changed = sorted(k for k in before.keys() | fingerprint.keys() if before.get(k) != fingerprint.get(k))
        if before and changed:
            raise ConfigError(
                f"{self._folder}: holds a run with other {', '.join(changed)}; "
                "use --fresh to start over, or choose other --results"
            )
        self.log.add("", "claimed", dict(fingerprint))

    @property
    def fingerprint(self) -> dict[str, str]:
        """What is judged here; empty if no run has begun."""
        return dict((self.log.last("claimed") or ({},))[0])

    def describe(self, source: Mapping[str, str]) -> None:
        """Record where the problems come from, for later commands."""
        self.log.add("", "described", dict(source))

    @property
    def source(self) -> dict[str, str]:
        """Where the problems come from; empty if no run has begun."""
        return dict((self.log.last("described") or ({},))[0])

    def begin_session(self, strategy: str, slots: int) -> str:
        """Open a session and return its id, which no other run has."""
        session = uuid4().hex[:12]
        self.log.add("", "began", session, strategy, slots)
        return session

    def end_session(self, session: str, pool: Mapping[str, Any], *, complete: bool) -> None:
        """Record the end of `session`."""
        self.log.add("", "ended", session, dict(pool), complete)

    def sessions(self) -> list[Session]:
        """Return the sessions so far, oldest first."""
        ended = {session: rest for _, (session, *rest) in self.log.of("", "ended")}
        return [Session(*began, *ended.get(began[0], (None, False))) for _, began in self.log.of("", "began")]

    def withdraw(self) -> set[str]:
        """Delete the results of problems that a liar had a part in, and return these problems. None may be at work."""
        gone = self.trust.withdrawn()
        for problem in gone:
            self.log.replace(problem, _OF_A_RESULT)
            self.forget(problem)
        self.trust.forget(gone)
        return gone

    # -- one problem ---------------------------------------------------------------------------------

    def of(self, problem: str) -> ProblemLog:
        """Return the log of a problem: the same one for as long as somebody holds it, or asks for no other."""
        with self._lock:
            self._last = self._logs.get(problem)
            if self._last is None:
                self._last = ProblemLog(problem, self.log.add_all, self.log.of(problem, *EVENTS))
                self._logs[problem] = self._last
            return self._last

    def forget(self, problem: str) -> None:
        """Read the log of a problem again next time: its events have changed, or it is no longer at work."""
        with self._lock:
            self._last = None
            self._logs.pop(problem, None)
