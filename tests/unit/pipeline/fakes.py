"""For tests of the pipeline: executors in memory, and a runner that does not wait."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from balancer.endpoint import Endpoint
from balancer.errors import EndpointError, EndpointOverloaded
from balancer.judging.pending import RunnerHooks, RunnerOptions, Span
from balancer.judging.runner import Runner
from balancer.opening.pool import Pool
from balancer.program import Execution, Executor, Limits, Program, Status
from tests.patience import PATIENCE_S
from tests.unit.pipeline.programs import PROGRAMS, pong

__all__ = ["BUSY", "DOWN", "SUSPECT", "FakeExecutor", "Impatient", "hasty", "no_leases_out"]

Answer = Callable[[Program, bytes, Mapping[str, bytes]], Execution]
Step = Exception | Execution | None  # raise it, return it, or give the program's own answer

DOWN = EndpointError("connection refused")
BUSY = EndpointOverloaded("too much to do")
SUSPECT = Execution(Status.TIME_LIMIT, time_s=1.0)  # wall time, and nothing printed


def _own_answer(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
    if program.name == "ping":
        return pong(stdin)
    return PROGRAMS[program.source](stdin, files)


class FakeExecutor:
    """Runs programs in memory; first of all it goes through a script.

    Args:
        answer: what a program does.
        languages: those it runs.
        script: what comes of the first calls, one each.
        always: what comes of every call after that.
        call_s: seconds a call takes.
        gate: a call waits for it to be set.
    """

    def __init__(
        self,
        answer: Answer = _own_answer,
        *,
        languages: Iterable[str] = ("python",),
        script: Iterable[Step] = (),
        always: Step = None,
        call_s: Callable[[], float] = lambda: 0.0,
        gate: threading.Event | None = None,
    ) -> None:
        self.languages = frozenset(languages)
        self.calls: list[Program] = []
        self.started = threading.Event()
        self.always = always
        self.when_closed: Callable[[], object] = lambda: None
        self._answer = answer
        self._script = iter(list(script))
        self._call_s = call_s
        self._gate = gate
        self._lock = threading.Lock()

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        with self._lock:
            self.calls.append(program)
            step = next(self._script, self.always)
            call_s = self._call_s()
        self.started.set()
        if self._gate is not None:
            assert self._gate.wait(PATIENCE_S), "nobody opened the gate"
        if call_s:
            time.sleep(call_s)
        if isinstance(step, Exception):
            raise step
        return step or self._answer(program, stdin, files)

    def ping(self) -> None:
        """Return."""

    def close(self) -> None:
        self.when_closed()


class Impatient(Runner):
    """A runner that notes how long it should wait between tries and, unless it is `patient`, does not."""

    def __init__(self, *args: Any, patient: bool) -> None:
        super().__init__(*args)
        self.waits_s: list[float] = []
        self._patient = patient

    def _sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        if self._patient:
            super()._sleep(seconds)


def hasty(
    executors: Mapping[str, Executor],
    *,
    capacity: int = 1,
    labels: Mapping[str, str] | None = None,
    attempts: int = 5,
    acquire_timeout_s: float | None = None,
    max_waiters: int | None = None,
    patient: bool = False,
) -> tuple[Impatient, Pool, list[Span]]:
    """Return a runner that does not wait between tries (unless `patient`), its pool, and the spans it reports."""
    pool = Pool(
        [
            Endpoint(url, capacity=capacity, labels=frozenset({labels[url]} if labels and url in labels else ()))
            for url in executors
        ],
        strategy="fifo",  # so that a test knows who is next
        health=None,
        acquire_timeout_s=acquire_timeout_s,
        max_waiters=max_waiters,
    )
    spans: list[Span] = []
    options, hooks = RunnerOptions(attempts=attempts, quiet_label="quiet"), RunnerHooks(on_span=spans.append)
    runner = Impatient(pool, executors, options, hooks, patient=patient)
    return runner, pool, spans


def no_leases_out(pool: Pool) -> bool:
    """Return whether every lease has ended and nobody waits."""
    stats = pool.stats()
    return stats.waiting == 0 and all(endpoint.in_flight == 0 for endpoint in stats.endpoints)
