"""Run store: the results so far, as a log of events, so that a run that dies resumes where it stopped."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self
from uuid import uuid4
from weakref import WeakValueDictionary

from balancer.core.metrics import EndpointStats, HolderStats, PoolStats, QuotaStats, SourceStats, WaitStats
from balancer.errors import ConfigError
from balancer.pipeline.results.log import EventLog
from balancer.pipeline.results.problem_log import EVENTS, ProblemLog, StoredCase, StoredVerdict
from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.problems import ProblemOutcome, Problems, SeenBefore
from balancer.pipeline.results.records import Answers, Leases, TraceTables, TrustStore
from balancer.pipeline.results.run_result import GeneratorYield
from balancer.pipeline.results.tally import ProblemTally, RoundHistory
from balancer.problem import Problem

__all__ = ["Session", "Store", "StoredCase", "StoredVerdict"]

_AS_JSON = (
    PoolStats, EndpointStats, WaitStats, QuotaStats, SourceStats, HolderStats, ProblemTally, RoundHistory,
    GeneratorYield, ProblemOutcome,
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
        self.problems = Problems(self.log)
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
        self.problems.begin_anew(gone)
        self.trust.forget(gone)
        for problem in gone:
            self.forget(problem)
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

    def meet(self, problem: Problem, number: int, fingerprint: str) -> SeenBefore:
        """Record a problem. Return how it was met before. The results of a changed problem are deleted."""
        met = self.problems.meet(problem, number, fingerprint)
        if met is SeenBefore.CHANGED:
            self.forget(problem.id)
        return met
