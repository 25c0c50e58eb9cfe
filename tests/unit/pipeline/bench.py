"""For tests of the pipeline: a small problem, and a bench to judge it on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from random import Random
from typing import ClassVar
from unittest.mock import patch

from rich.console import Console

from balancer.hookspecs import Generator
from balancer.pipeline.progress import Progress
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.store import Store
from balancer.pipeline.round import proposal_batches
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.shell import judge_problem
from balancer.problem import Checker, Origin, Problem, Proposal, Submission, Verdict
from balancer.program import Executor, Program
from balancer.settings.pipeline import PipelineSettings
from tests.unit.pipeline.fakes import FakeExecutor, hasty, no_leases_out
from tests.unit.pipeline.programs import TRUTH

__all__ = ["Bench", "End", "Numbers", "Own", "end_of", "judged", "make_problem", "quiet_progress"]


class Numbers:
    """A generator of numbers, every third of them not valid."""

    name: ClassVar[str] = "numbers"

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
        for n in rng.sample(range(76), min(budget, 76)):
            yield Proposal(b"%d" % n, Origin(self.name, f"number {n}"))


class Own:
    """A generator of the problem's own data."""

    name: ClassVar[str] = "data"

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
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
    left_out = store.of(problem.id).left_out
    return End(
        tuple((c.id, c.data, c.answer, c.origin, c.sample, c.state) for c in store.of(problem.id).cases()),
        tuple((s, c, v.verdict) for (s, c), v in sorted(store.of(problem.id).verdicts().items()) if s not in left_out),
        tuple(left_out),
        tuple(store.of(problem.id).notes()),
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
        return PipelineSettings(
            problems="-",
            output_generation_workers=self.workers,
            solution_validation_workers=self.workers,
            max_inputs=self.max_inputs,
            attempts=self.attempts,
        )

    @contextmanager
    def open(self, executors: Mapping[str, Executor], kind: type[Store] = Store) -> Iterator[Sample]:
        """Open the store, with a runner of its own; closed at the end."""
        most = patch.object(proposal_batches, "_MOST_PROPOSALS", self.max_proposals)
        with most, kind(self.folder) as store:
            runner, pool, _ = hasty(executors, attempts=self.attempts)
            yield Sample(self.problem, self.generators, self.settings, runner, store, quiet_progress())
            assert no_leases_out(pool)


def judged(bench: Bench, executors: Mapping[str, Executor] | None = None) -> End:
    """Judge the problem of `bench` in one go and return where it ended."""
    with bench.open(executors or {"a": FakeExecutor(), "b": FakeExecutor()}) as sample:
        judge_problem(sample)
        return end_of(sample.store, bench.problem)
