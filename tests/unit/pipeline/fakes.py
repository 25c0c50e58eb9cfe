"""For tests of the pipeline: executors in memory, a small problem that they can run, and a bench to judge it on.

The programs of the problem are Python functions of their input, so every verdict is known beforehand.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from rich.console import Console

from balancer.config import PipelineSettings
from balancer.endpoint import Endpoint
from balancer.errors import EndpointError, EndpointOverloaded
from balancer.hookspecs import Generator
from balancer.pipeline.model import Checker, Origin, Problem, Proposal, Submission, Verdict
from balancer.pipeline.progress import Progress
from balancer.pipeline.results import CaseState, Span
from balancer.pipeline.runner import Runner
from balancer.pipeline.sample import Sample
from balancer.pipeline.steps import judge_problem
from balancer.pipeline.store import Store
from balancer.pool import Pool
from balancer.sandbox.protocol import Execution, Executor, Limits, Program, Status

__all__ = [
    "BUSY",
    "DOWN",
    "PROGRAMS",
    "SUSPECT",
    "TRUTH",
    "Bench",
    "End",
    "FakeExecutor",
    "Impatient",
    "Numbers",
    "end_of",
    "finished",
    "hasty",
    "judged",
    "make_problem",
    "no_leases_out",
    "quiet_progress",
]

Answer = Callable[[Program, bytes, Mapping[str, bytes]], Execution]
Step = Exception | Execution | None  # raise it, return it, or give the program's own answer

DOWN = EndpointError("connection refused")
BUSY = EndpointOverloaded("too much to do")
SUSPECT = Execution(Status.TIME_LIMIT, time_s=1.0)  # wall time, and nothing printed


def finished(output: bytes = b"", code: int = 0) -> Execution:
    """Return the execution of a program that ended by itself."""
    return Execution(Status.FINISHED, output, exit_code=code, time_s=0.01, cpu_measured=True)


# -- programs of a problem whose answer is twice the input ---------------------------------------------


def _doubling(data: bytes, _: Mapping[str, bytes]) -> Execution:
    return finished(b"%d\n" % (2 * int(data)))


def _unless(odd: Callable[[int], bool], then: Execution) -> Callable[[bytes, Mapping[str, bytes]], Execution]:
    return lambda data, files: then if odd(int(data)) else _doubling(data, files)


def _check_input(data: bytes, _: Mapping[str, bytes]) -> Execution:
    return finished(code=42 if data.strip().isdigit() and int(data) <= 50 else 43)


def _check_output(output: bytes, files: Mapping[str, bytes]) -> Execution:
    if int(files["input.txt"]) == 3:
        return Execution(Status.FINISHED, stderr=b"Traceback\nIndexError: 3", exit_code=1)
    return finished(code=42 if output.split() == [b"%d" % (2 * int(files["input.txt"]))] else 43)


PROGRAMS: dict[str, Callable[[bytes, Mapping[str, bytes]], Execution]] = {
    "double": _doubling,
    "add": _doubling,
    "double, but 13": _unless(lambda n: n == 13, finished(b"13")),
    "square": _unless(lambda n: n not in (0, 2), finished(b"-1")),
    "crash at 0": _unless(lambda n: n == 0, finished(code=1)),
    "killed at 8": _unless(lambda n: n == 8, finished(code=-11)),
    "slow from 20": _unless(lambda n: n >= 20, Execution(Status.TIME_LIMIT, time_s=2.0, cpu_measured=True)),
    "fat at 7": _unless(lambda n: n == 7, Execution(Status.MEMORY_LIMIT, exit_code=-9)),
    "wordy at 9": _unless(lambda n: n == 9, Execution(Status.OUTPUT_LIMIT, b"99999", exit_code=-9)),
    "right after all": _doubling,
    "broken": lambda data, files: Execution(Status.COMPILE_ERROR, stderr=b"syntax error", message="line 1: syntax"),
    "check input": _check_input,
    "check output": _check_output,
}

# What each wrong program must be found to do on the input n.
TRUTH: Mapping[str, Callable[[int], Verdict]] = {
    "square": lambda n: Verdict.ACCEPTED if n in (0, 2) else Verdict.WRONG_ANSWER,
    "crash at 0": lambda n: Verdict.RUN_TIME_ERROR if n == 0 else Verdict.ACCEPTED,
    "killed at 8": lambda n: Verdict.RUN_TIME_ERROR if n == 8 else Verdict.ACCEPTED,
    "slow from 20": lambda n: Verdict.TIME_LIMIT if n >= 20 else Verdict.ACCEPTED,
    "fat at 7": lambda n: Verdict.RUN_TIME_ERROR if n == 7 else Verdict.ACCEPTED,
    "wordy at 9": lambda n: Verdict.WRONG_ANSWER if n == 9 else Verdict.ACCEPTED,
    "right after all": lambda n: Verdict.ACCEPTED,
}


def _own_answer(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
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
        """Do the next step of the script."""
        with self._lock:
            self.calls.append(program)
            step = next(self._script, self.always)
            call_s = self._call_s()
        self.started.set()
        if self._gate is not None:
            assert self._gate.wait(10), "nobody opened the gate"
        if call_s:
            time.sleep(call_s)
        if isinstance(step, Exception):
            raise step
        return step or self._answer(program, stdin, files)

    def ping(self) -> None:
        """Return."""

    def close(self) -> None:
        """Tell whoever wants to know."""
        self.when_closed()


class Impatient(Runner):
    """A runner that notes how long it should wait between tries and, unless it is `patient`, does not."""

    def __init__(self, *args: Any, patient: bool, **options: Any) -> None:
        super().__init__(*args, **options)
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
        acquire_timeout_s=acquire_timeout_s,
        max_waiters=max_waiters,
    )
    spans: list[Span] = []
    runner = Impatient(pool, executors, attempts=attempts, quiet_label="quiet", on_span=spans.append, patient=patient)
    return runner, pool, spans


def no_leases_out(pool: Pool) -> bool:
    """Return whether every lease has ended and nobody waits."""
    stats = pool.stats()
    return stats.waiting == 0 and all(endpoint.in_flight == 0 for endpoint in stats.endpoints)


# -- a problem -----------------------------------------------------------------------------------------


class Numbers:
    """A generator of numbers, every third of them not valid."""

    name: ClassVar[str] = "numbers"

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
        """Yield `budget` numbers."""
        for n in rng.sample(range(76), budget):
            yield Proposal(b"%d" % n, Origin(self.name, f"number {n}"))


class Own:
    """A generator of the problem's own data."""

    name: ClassVar[str] = "data"

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
        """Yield them all."""
        return problem.data[:budget]


def _program(source: str, language: str = "python") -> Program:
    return Program(language, source, source)


def make_problem(
    name: str = "doubling",
    *,
    accepted: Sequence[str] = ("double", "add"),
    wrong: Sequence[str] = tuple(TRUTH),
    own: Sequence[int] = (1, 2),
    answers: Mapping[int, bytes] | None = None,
    validators: Sequence[str] = ("check input",),
    checker: Checker = Checker(),  # noqa: B008  (frozen)
    languages: Mapping[str, str] | None = None,
) -> Problem:
    """Return a problem whose answer is twice the input."""
    language = (languages or {}).get
    answers = {n: b"%d\n" % (2 * n) for n in own} if answers is None else answers
    right = [Submission(a, _program(a, language(a, "python")), True, "accepted") for a in accepted]
    others = [Submission(w, _program(w, language(w, "python")), False, "wrong_answer") for w in wrong]
    return Problem(
        id=name,
        name=name.title(),
        path=Path(name),
        time_limit_s=1.0,
        memory_bytes=None,
        data=tuple(Proposal(b"%d" % n, Origin("data", f"{n}.in"), answers.get(n), sample=True) for n in own),
        input_validators=tuple(_program(v, language(v, "python")) for v in validators),
        checker=checker,
        submissions=(*right, *others),
    )


# -- a bench -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class End:
    """Where a problem ended; times and threads are not part of it."""

    cases: tuple[tuple[int, bytes, bytes | None, Origin, bool, CaseState], ...]
    verdicts: tuple[tuple[str, int, Verdict], ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    def verdict(self, submission: str, n: int) -> Verdict:
        """Return what was found of `submission` on the input `n`."""
        (case,) = [case[0] for case in self.cases if case[1] == b"%d" % n]
        (verdict,) = [v for s, c, v in self.verdicts if (s, c) == (submission, case)]
        return verdict

    def inputs(self, *states: CaseState) -> list[int]:
        """Return the inputs of the cases in these states."""
        return [int(case[1]) for case in self.cases if case[5] in states]


def end_of(store: Store, problem: Problem) -> End:
    """Return what `store` holds of `problem`; the verdicts on what is left out mean nothing."""
    left_out = store.left_out(problem.id)
    return End(
        tuple((c.id, c.data, c.answer, c.origin, c.sample, c.state) for c in store.cases(problem.id)),
        tuple((s, c, v.verdict) for (s, c), v in sorted(store.verdicts(problem.id).items()) if s not in left_out),
        tuple(left_out),
        tuple(store.notes(problem.id)),
    )


def quiet_progress(problems: int = 1) -> Progress:
    """Return a progress that nobody sees."""
    return Progress(Console(file=StringIO()), problems)


@dataclass(frozen=True, slots=True)
class Bench:
    """A problem, what runs it, and how; opened as often as one likes on the same results folder."""

    folder: Path
    problem: Problem = field(default_factory=make_problem)
    generators: Sequence[Generator] = (Own(), Numbers())
    workers: int = 3
    max_inputs: int = 6
    max_proposals: int = 15
    attempts: int = 5

    @property
    def settings(self) -> PipelineSettings:
        """The settings of the pipeline."""
        return PipelineSettings(
            problems="-",
            output_generation_workers=self.workers,
            solution_validation_workers=self.workers,
            max_inputs=self.max_inputs,
            max_proposals=self.max_proposals,
            attempts=self.attempts,
        )

    @contextmanager
    def open(self, executors: Mapping[str, Executor], kind: type[Store] = Store) -> Iterator[Sample]:
        """Open the store, with a runner of its own; closed at the end."""
        with kind(self.folder) as store:
            runner, pool, _ = hasty(executors, attempts=self.attempts)
            yield Sample(self.problem, self.generators, self.settings, runner, store, quiet_progress())
            assert no_leases_out(pool)


def judged(bench: Bench, executors: Mapping[str, Executor] | None = None) -> End:
    """Judge the problem of `bench` in one go and return where it ended."""
    with bench.open(executors or {"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(sample)
        return end_of(sample.store, bench.problem)
