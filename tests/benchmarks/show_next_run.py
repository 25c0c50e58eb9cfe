"""Makespans of runs of the pool, predicted from another run's trace, beside what came.

    python -m tests.benchmarks.show_next_run               # ten minutes of runs, then predictions
    python -m tests.benchmarks.show_next_run --folder DIR  # what is in DIR is not made again

Six runs are fitted: three strategies, with callers that pause and callers that do not. Each predicts four runs: the
same again, with another strategy, with half as many callers, and without one server. The servers are those of
show_prediction.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from balancer_simulator import fit_trace
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.predicting.predict import Predicted, prediction_of
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.studies.parallel import run_each

from balancer.observing.traces import Trace
from tests.benchmarks.harness import Row, options, stream
from tests.benchmarks.show_prediction import LOADS, SLOTS, STRATEGIES, THREADS, measured, told_of


@dataclass(frozen=True)
class Change:
    """How the next run differs from the base."""

    name: str
    strategy: str | None = None
    callers: int = THREADS
    without: str | None = None


def changes(strategy: str) -> list[Change]:
    """Return the four next runs of a base."""
    other = STRATEGIES[(STRATEGIES.index(strategy) + 1) % len(STRATEGIES)]
    return [
        Change("the same again"),
        Change(f"with {other}", strategy=other),
        Change("16 callers", callers=16),
        Change("without C", without="C"),
    ]


def predicted(fit: Fit, change: Change, draws: int, jobs: int) -> Predicted:
    """Return the makespan of one next run."""
    rng = np.random.default_rng(1)
    scenarios = []
    gone = {member.url for member in fit.members if member.name == change.without}
    for _ in range(draws):
        workload = {**fit.workload(rng), "workers": change.callers}
        made = fit.scenario(draw=rng, workload=workload)
        scenarios.append(made.changed(endpoints=[each for each in made.endpoints if each.url not in gone]))
    policy = Policy(strategy=change.strategy or fit.policy.strategy)
    ends_s = [record.makespan_s for record in run_each(scenarios, policy, jobs=jobs)]
    return prediction_of([end_s for end_s in ends_s if end_s is not None])


@contextmanager
def woken_in_time() -> Iterator[None]:
    """Have the threads of these runs woken before others: a busy machine makes all calls longer, now more, now less."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    yield
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def makespan_s(trace: Trace) -> float:
    """Return the seconds from the first request to the last answer."""
    return max(each.ended_s for each in trace.attempts) - min(each.asked_s for each in trace.attempts)


def main() -> None:
    """Make the runs that are not there, and print the predictions."""
    asked = options(
        __doc__,
        "one base, and only the same again",
        folder=(str, "keeps the traces"),
        calls=(1500, "calls of a run"),
        draws=(40, "fits that are drawn again"),
        jobs=(2, "processes"),
    )
    folder = Path(asked.folder or tempfile.mkdtemp(prefix="next-run-"))
    folder.mkdir(parents=True, exist_ok=True)
    cases = [(strategy, load) for strategy in STRATEGIES for load in LOADS][: 1 if asked.short else None]
    wanted = [(strategy, load, change) for strategy, load in cases for change in changes(strategy)]
    runs = {}
    with woken_in_time():
        bases = {case: measured(case[0], LOADS[case[1]], asked.calls, 1, folder) for case in cases}
        for number, (strategy, load, change) in enumerate(wanted[: 1 if asked.short else None]):
            slots = {name: many for name, many in SLOTS.items() if name != change.without}
            runs[strategy, load, change] = measured(
                change.strategy or strategy, LOADS[load], asked.calls, 10 + number, folder,
                workers=change.callers, slots=slots,
            )  # fmt: skip
    fits = {case: fit_trace(trace) for case, (trace, _) in bases.items()}
    errors, held = list[float](), list[bool]()

    def rows() -> Iterator[Row]:
        for (strategy, load, change), (trace, late_s) in runs.items():
            told = predicted(fits[strategy, load], change, asked.draws, asked.jobs)
            real = makespan_s(trace)
            errors.append(told.value / real - 1)
            held.append(told.holds(real))
            late = [1000 * float(np.mean(each)) for each in (bases[strategy, load][1], late_s)]
            yield (
                f"{strategy}, {load}: {change.name}", f"{told.value:.3g} ({told.low:.3g} to {told.high:.3g})",
                f"{real:.3g}{'' if held[-1] else ' *'}", f"{errors[-1]:+.1%}", f"{late[0]:.1f}, {late[1]:.1f}",
            )  # fmt: skip

    stream("next run | makespan predicted, s | came, s | error | machine late in the base and then, ms", rows())
    told_of("", errors, held)


if __name__ == "__main__":
    main()
