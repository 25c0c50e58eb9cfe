"""The time left of a run: on made-up runs whose end is known, at each tenth of their time."""

import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.pipeline.remaining import Crew, ProblemsSeen, ProblemTime, RunTimes, time_left
from balancer.reporting.progress import Left

_SHARED = Crew(at_once=4, slots=2, threads=4)  # each problem alone could use all slots
_APART = Crew(at_once=4, slots=100, threads=4)


@dataclass(frozen=True)
class Job:
    """A problem: seconds of units (one a second and slot), then seconds of a search that no unit counts."""

    work_s: float
    search_s: float = 0.0


def run(jobs: list[Job], crew: Crew, sized: bool, looks: set[int]) -> tuple[list[tuple[float, Left | None]], int]:
    """Return the estimates of a made-up run at these steps, and the number of steps. Slots are shared evenly."""
    times, step_s, now_s = RunTimes(crew, sized=sized), 0.25, 0.0
    for number, job in enumerate(jobs if sized else []):
        times.plan(f"{number}", round(10 * job.work_s))
    waiting, at_work, found = list(enumerate(jobs)), dict[int, list[float]](), list[tuple[float, Left | None]]()
    while waiting or at_work:
        while waiting and len(at_work) < crew.at_once:
            number, job = waiting.pop(0)
            at_work[number] = [job.work_s, job.search_s, 0.0]
            times.begin(f"{number}", now_s)
        now_s += step_s
        pace = crew.pace(len(at_work)) * step_s
        for number, left in list(at_work.items()):
            left[0 if left[0] > 0 else 1] -= pace
            if left[0] > 0:
                left[2] += 10 * pace
                times.advance(f"{number}", int(left[2]))
                left[2] %= 1
            elif left[1] <= 0:
                times.finish(f"{number}", now_s)
                del at_work[number]
        if round(now_s / step_s) in looks:
            found.append((now_s, times.left(now_s, len(waiting))))
    return found, round(now_s / step_s)


def at_tenths(jobs: list[Job], crew: Crew, *, sized: bool) -> list[tuple[float, Left]]:
    """Return the true rest and the estimate at each tenth."""
    _, steps = run(jobs, crew, sized, set())
    found, _ = run(jobs, crew, sized, {steps * tenth // 10 for tenth in range(1, 10)})
    return [(0.25 * steps - at_s, left) for at_s, left in found if left is not None]


def jobs_of(seed: int, *, spread: float = 0.3, search: float = 0.0) -> list[Job]:
    rng = random.Random(seed)
    return [Job(5 * rng.lognormvariate(0, spread), search if rng.random() < 0.4 else 0.0) for _ in range(16)]


def test_nothing_is_claimed_without_a_basis_and_nothing_left_is_no_time() -> None:
    assert time_left(ProblemsSeen(), _SHARED) == Left(0.0, 0.0, 0.0)
    assert time_left(ProblemsSeen(to_come=[1.0]), _SHARED) is None
    times = RunTimes(_SHARED, sized=False)
    times.begin("p", 0.0)
    assert times.left(5.0, 0) is None, "one at work, no plan: nothing tells how long it takes"
    assert times.left(5.0, None) is None
    times.finish("p", 6.0)
    assert times.left(6.0, 0) == Left(0.0, 0.0, 0.0)


_SECONDS = st.floats(0.0, 1e7)
_TIMES = st.lists(st.builds(ProblemTime, _SECONDS, st.floats(0.01, 100.0)), max_size=80)


@settings(max_examples=40)
@given(
    _TIMES, _TIMES, st.lists(st.floats(0.01, 100.0), max_size=80), st.lists(_SECONDS, max_size=3), st.none() | _SECONDS
)
def test_whatever_is_seen_there_is_an_estimate_in_its_interval_or_none(
    over: list[ProblemTime],
    at_work: list[ProblemTime],
    to_come: list[float],
    again_s: list[float],
    plan_s: float | None,
) -> None:
    left = time_left(ProblemsSeen(over, at_work, to_come, again_s, plan_s), _SHARED)
    assert left is None or 0 <= left.low_s <= left.s <= left.high_s < math.inf


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("crew", [_SHARED, _APART], ids=["shared", "apart"])
def test_problems_alike_are_told_well_from_a_third_on(crew: Crew, sized: bool) -> None:
    for truth_s, left in at_tenths([Job(5.0)] * 16, crew, sized=sized)[3:]:
        assert left.low_s <= truth_s <= left.high_s
        assert truth_s / 1.6 < left.s < truth_s * 1.6


@pytest.mark.parametrize("search_s", [0.0, 10.0])
def test_intervals_hold_what_comes_for_problems_that_differ(search_s: float) -> None:
    """With a search at the end of some, which takes twice as long as their units."""
    rests = [each for seed in range(4) for each in at_tenths(jobs_of(seed, search=search_s), _SHARED, sized=True)]
    held = sum(left.low_s <= truth_s <= left.high_s for truth_s, left in rests)
    assert held >= 0.85 * len(rests), [(truth_s, left) for truth_s, left in rests]


def test_before_one_is_over_only_the_least_is_told() -> None:
    """Four at work for 30 s each and four to come: they take longer than 30 s, nobody knows by how much."""
    left = time_left(ProblemsSeen(at_work=[ProblemTime(30.0)] * 4, to_come=[1.0] * 4), _APART)
    assert left is not None
    assert left.words.startswith("at least ")
    assert left.low_s > 20
    planned = time_left(ProblemsSeen(at_work=[ProblemTime(30.0)] * 4, to_come=[1.0] * 4, expected_s=60.0), _APART)
    assert planned is not None
    assert planned.high_s - planned.low_s < (left.high_s - left.low_s) / 2


def test_the_last_ones_go_faster_if_they_share_the_slots() -> None:
    seen = ProblemsSeen(over=[ProblemTime(10.0)] * 12, at_work=[ProblemTime(5.0)])
    shared, apart = time_left(seen, _SHARED), time_left(seen, _APART)
    assert shared is not None
    assert apart is not None
    assert apart.s == pytest.approx(4 * shared.s, rel=0.01)


def test_large_problems_take_longer_and_turns_to_come_are_added() -> None:
    over, at_work = [ProblemTime(10.0)] * 12, [ProblemTime(1.0)] * 4
    small, large, again = (
        time_left(ProblemsSeen(over, at_work, to_come, again_s), _APART)
        for to_come, again_s in (([1.0] * 4, []), ([10.0] * 4, []), ([1.0] * 4, [90.0] * 4))
    )
    assert small is not None
    assert large is not None
    assert again is not None
    assert large.s > 4 * small.s
    assert again.s > small.s + 80


def test_a_run_of_many_problems_is_told_in_proportion_and_narrowly() -> None:
    over = [ProblemTime(10.0 * random.Random(n).lognormvariate(0, 0.3)) for n in range(300)]
    few, many = (time_left(ProblemsSeen(over, [], [1.0] * n), _APART) for n in (1_000, 100_000))
    assert few is not None
    assert many is not None
    assert many.s == pytest.approx(100 * few.s, rel=0.05)
    assert many.high_s < 2 * many.low_s


def test_a_time_budget_tells_how_long_problems_take_before_one_is_over() -> None:
    """A plan of units tells 11 s; but the problem searches until its budget is spent."""
    times = RunTimes(_SHARED, sized=True, budget_s=60.0)
    times.plan("p", 100)
    times.begin("p", 0.0)
    times.advance("p", 90)
    started = times.left(10.0, 0)
    assert started is not None
    assert 20 < started.s < 120
    times.spends("p", 10.0, 60.0)
    for now_s in (12.0, 30.0, 60.0):
        left = times.left(now_s, 0)
        assert left is not None
        assert left.s == pytest.approx(70.0 - now_s, rel=0.25)
        assert left.high_s == pytest.approx(70.0 - now_s)
        assert left.bounded
    assert Left(20.0, 2.0, 30.0, bounded=True).words == "up to 30 s left"
    assert Left(20.0, 2.0, 30.0).words == "at least 2 s left"


def test_time_on_own_data_is_added_to_the_budget() -> None:
    """A slow machine: 80 s on the package's own data, of which half is done after 40 s."""
    times = RunTimes(_SHARED, sized=True, budget_s=30.0)
    times.begin("p", 0.0)
    times.plan("p", 100)
    times.advance("p", 50)
    times.plan("p", 50)
    left = times.left(40.0, 0)
    assert left is not None
    assert 45 < left.s < 110, "about 40 s of own data, and then at most 30 s"
    assert left.low_s > 10


def test_budgets_that_others_did_not_need_are_not_expected_of_the_rest() -> None:
    times = RunTimes(_APART, sized=True, budget_s=600.0)
    for number in range(8):
        times.begin(f"{number}", 0.0)
        times.finish(f"{number}", 10.0)
    times.begin("last", 10.0)
    times.spends("last", 12.0, 600.0)
    left = times.left(14.0, 0)
    assert left is not None
    assert left.s < 20


def test_turns_after_the_first_are_known_and_no_new_problems() -> None:
    times = RunTimes(_APART, sized=False)
    for name in "ab":
        times.begin(name, 0.0)
        times.advance(name)
        times.finish(name, 10.0)
    times.further({"a": 20.0})
    found = times.left(10.0, 0)
    times.begin("a", 10.0)
    later = times.left(25.0, 0)
    assert found is not None
    assert later is not None
    assert found.s == pytest.approx(4 * later.s, rel=0.01)
