"""Options of a program runner: how often and how long runs are made, and who hears of them. Data."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from balancer.judging.pending import ProgramRun, Span
from balancer.judging.suspicion import Recheck, Suspicion
from balancer.program import Program
from balancer.settings.pipeline import VerifySettings
from balancer.shells.lease_request import LeaseRequest

__all__ = ["RunnerHooks", "RunnerOptions", "VerificationStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """How program runs are made.

    Attributes:
        attempts: tries before a program run is given up.
        quiet_label: endpoints with this label are preferred to run a program again that met a suspect time limit.
        outage_s: while nothing in the run succeeds, program runs are tried beyond their attempts for so many seconds.
        compile_s: CPU seconds for compiling, for all runs; None: as each run says.
        verify: which runs are made again on another endpoint; None: none.
        asked: what every lease is asked for, e.g. labels; slots and exclusions are the runner's own.
        clock: seconds, for spans and outages.
    """

    attempts: int
    quiet_label: str
    outage_s: float = 0.0
    compile_s: float | None = None
    verify: VerifySettings | None = None
    asked: LeaseRequest = field(default_factory=LeaseRequest)
    clock: Callable[[], float] = time.monotonic


class VerificationStore(Protocol):
    """What the verifier needs of a store, which outlives the process."""

    def believed(self, endpoint: str, problem: str) -> None:
        """Remember that something `endpoint` said of `problem` counts, and nobody has said the same."""
        ...

    def trusted(self, endpoint: str) -> None:
        """Forget it: the endpoint is believed."""
        ...

    def made_again(self, what: str) -> None:
        """Count a run that was made to verify another one, and what came of it."""
        ...

    def eject(self, endpoint: str, why: str) -> int:
        """Remember that `endpoint` lied; return how many problems are judged again, for it had a part in them."""
        ...


@dataclass(slots=True, kw_only=True)
class RunnerHooks:
    """Who hears of program runs.

    Attributes:
        on_span: called, by the thread that ran the program, once its lease has ended.
        on_recheck: told of each end that was looked at again: why, and what came of it.
        on_compile: told of each program that took some seconds to compile, of how many, and of the endpoint.
        say: told at once, a line each, of endpoints that lie.
        verification: what was made again, and whose word was not; None: nobody.
    """

    on_span: Callable[[Span], object] = lambda span: None
    on_recheck: Callable[[ProgramRun, Suspicion, Recheck], object] = lambda wanted, why, found: None
    on_compile: Callable[[Program, float, str], object] = lambda program, took_s, endpoint: None
    say: Callable[[str], object] = lambda line: None
    verification: VerificationStore | None = None

    def made_again(self, what: str) -> None:
        """Count a run that was made to verify another one, and what came of it."""
        if self.verification is not None:
            self.verification.made_again(what)
