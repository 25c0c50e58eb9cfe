"""Servers that halt: what waits for them is done when arithmetic says, to the last bit."""

from collections.abc import Callable
from itertools import repeat
from typing import Any

import pytest
from balancer_simulator.world.calendar import after, run_to
from balancer_simulator.world.stations import HaltingTimer, QueueingStation, StationJob
from simpy import Environment

from tests.simulation.scenarios import at, endpoint, run


class Job(StationJob):
    def __init__(self, work_s: float, end: Callable[[], None]) -> None:
        super().__init__(work_s)
        self._end = end

    def done(self) -> None:
        self._end()


class Bench:
    """A station, and what is done there at some instants."""

    def __init__(self, *vacations: float) -> None:
        self.env = Environment()
        self.timer = HaltingTimer(self.env, iter([*vacations, *repeat(vacations[-1], 99)]) if vacations else None)
        self.ends: dict[str, float] = {}
        self.jobs: dict[str, StationJob] = {}

    def at(self, at_s: float, do: Callable[[], Any]) -> None:
        after(self.env, at_s, lambda _: do(), None)

    def job(self, name: str, at_s: float, work_s: float, station: Any = None) -> None:
        def end() -> None:
            self.ends[name] = self.env.now

        self.jobs[name] = Job(work_s, end)
        self.at(at_s, lambda: (station or self.timer).enter(self.jobs[name]))

    def halt(self, from_s: float, to_s: float, *, repeats: bool = False) -> None:
        self.at(from_s, lambda: self.timer.halt(repeats=repeats))
        self.at(to_s, self.timer.resume)

    def run(self) -> dict[str, float]:
        run_to(self.env, 100.0)
        return self.ends


@pytest.mark.parametrize(("repeats", "end_s"), [(False, 7.0), (True, 8.0)])
def test_work_resumes_or_repeats_after_a_halt(repeats: bool, end_s: float) -> None:
    bench = Bench()
    bench.job("before", 1.0, 3.0)
    bench.job("meanwhile", 3.0, 1.0)
    bench.halt(2.0, 5.0, repeats=repeats)
    assert bench.run() == {"before": end_s, "meanwhile": 6.0}
    assert bench.timer.worked_until(100.0) == 4.0 + repeats  # what repeats was done in vain


def test_two_halts_that_overlap_are_one() -> None:
    bench = Bench()
    bench.job("a", 0.0, 4.0)
    bench.halt(1.0, 3.0)
    bench.halt(2.0, 6.0)
    assert bench.run() == {"a": 9.0}


def test_what_is_dropped_during_a_halt_never_ends() -> None:
    bench = Bench()
    bench.job("a", 0.0, 4.0)
    bench.job("b", 0.0, 2.0)
    bench.halt(1.0, 3.0)
    bench.at(2.0, lambda: bench.timer.drop(bench.jobs["a"]))
    assert bench.run() == {"b": 4.0}
    assert bench.timer.worked_until(100.0) == 3.0


def test_who_comes_during_a_vacation_waits_for_its_end() -> None:
    bench = Bench(2.0, 2.0, 4.0)
    bench.job("second vacation", 3.0, 1.0)  # 0 to 2, 2 to 4
    bench.job("waits too", 3.5, 2.0)
    bench.job("third vacation", 9.0, 1.0)  # from the end of the last one, 6 to 10
    assert bench.run() == {"second vacation": 5.0, "waits too": 6.0, "third vacation": 11.0}


def test_there_is_no_vacation_while_one_waits_in_the_queue() -> None:
    bench = Bench(1.0)
    queue = QueueingStation(1, bench.timer)
    for name in "abc":
        bench.job(name, 0.5, 2.0, queue)
    assert bench.run() == {"a": 3.0, "b": 5.0, "c": 7.0}


def test_a_vacation_goes_on_although_the_one_who_waited_is_gone() -> None:
    bench = Bench(4.0, 10.0)
    bench.job("gone", 1.0, 1.0)
    bench.at(2.0, lambda: bench.timer.drop(bench.jobs["gone"]))
    bench.job("next", 3.0, 1.0)
    assert bench.run() == {"next": 5.0}


def test_a_pool_that_always_has_a_waiter_sees_no_vacation() -> None:
    away = {"kind": "vacation", "length": {"kind": "deterministic", "mean_s": 0.75}}
    record = run(at([0.0, 0.25, 0.5], 1.0, endpoint(faults=[away])))
    assert [span.ended_s for span in record.spans] == [1.0, 2.0, 3.0]
