"""The simulator against queueing theory beyond plain queues: impatience, bulks, breakdowns, vacations, retrials.

As in `test_theory`: each figure must agree with a closed form, and not with that for calls that take 5% more or less.
"""

import heapq
import random
from typing import Any

import pytest

from tests.simulation.analytic import (
    breakdowns,
    erlang_a,
    erlang_b,
    in_bulk,
    mg1,
    mm1_deadline,
    retrials,
    shortest_job_first,
    vacations,
)
from tests.simulation.theory import exponential, hold, poisson, runs, sojourns, waits

pytestmark = pytest.mark.timeout(1200)

_CONSTANT = {"kind": "deterministic", "mean_s": 1.0}


def lost(scenario: Any, policy: str = "fifo") -> list[float]:
    return [record.metrics["lost"] for record in runs(scenario, policy)]


# -- impatience -------------------------------------------------------------------------------------


def test_exponential_patience_is_erlang_a() -> None:
    kind = {"patience": exponential(2.0)}
    scenario = poisson(9.0, 9_000, 50.0, endpoints=[{"url": "http://server-{1..8}/"}], requests={"kinds": [kind]})
    records = runs(scenario, "fifo")

    def theory(s: float) -> Any:
        return erlang_a(8, 9.0 * s, 2.0 / s)

    hold([record.metrics["lost"] for record in records], lambda s: theory(s).abandons, error=0.03)
    at_once = [(1 - record.wait.beyond(0.0)) * (1 - record.metrics["lost"]) for record in records]
    hold(at_once, lambda s: 1 - theory(s).waits, error=0.03)


@pytest.mark.parametrize(
    "kind",
    [{"acquire_timeout_s": 2.0}, {"patience": {"kind": "deterministic", "mean_s": 2.0}}],
    ids=lambda kind: next(iter(kind)),
)
def test_constant_patience_is_barrers(kind: dict[str, Any]) -> None:
    scenario = poisson(1.1, 8_000, 50.0, endpoints=[{"url": "server"}], requests={"kinds": [kind]})
    hold(lost(scenario), lambda s: mm1_deadline(1.1 * s, 2.0 / s).abandons, error=0.03)


@pytest.mark.more
def test_patience_of_any_distribution_is_that_of_twenty_lines() -> None:
    """M/M/1+G against a recursion: a caller whose patience is shorter than the work that it finds leaves."""
    patience = [0.2, 0.5, 3.0]
    kind = {"patience": {"kind": "empirical", "values_s": patience}}
    rng = random.Random(1)
    work, left, count = 0.0, 0, 400_000
    for _ in range(count):
        work = max(0.0, work - rng.expovariate(1.2))
        if rng.choice(patience) < work:
            left += 1
        else:
            work += rng.expovariate(1.0)
    scenario = poisson(1.2, 8_000, 50.0, endpoints=[{"url": "server"}], requests={"kinds": [kind]})
    hold(lost(scenario), lambda s: left / count * s, error=0.02, bias=0.004, off=0.1)


# -- bulk arrivals ----------------------------------------------------------------------------------


@pytest.mark.more
@pytest.mark.parametrize(
    ("bulk", "size", "squared"),
    [({"mean": 3.0}, 3.0, 15.0), ({"sizes": [1, 1, 1, 5]}, 2.0, 7.0)],
    ids=["geometric", "listed"],
)
def test_bulk_arrivals_are_those_of_the_textbook(bulk: dict[str, Any], size: float, squared: float) -> None:
    workload = {"kind": "poisson", "rate_per_s": 0.6, "bulk": bulk}
    scenario = poisson(0.6, 60_000, 200.0, endpoints=[{"url": "server"}], workload=workload)
    hold(sojourns(runs(scenario, "fifo")), lambda s: in_bulk(0.6 * s, s, size=size, size_squared=squared).sojourn_s)


# -- servers that halt ------------------------------------------------------------------------------


@pytest.mark.more
@pytest.mark.parametrize("inside", [True, False], ids=["queue inside", "queue in the pool"])
def test_work_that_resumes_after_a_breakdown(inside: bool) -> None:
    crash = {"kind": "crash_repair", "mtbf_s": 10.0, "mttr_s": 2.0, "work": "resumes"}
    model = {"url": "server", "faults": [crash], **({"capacity": 10_000, "parallel": 1} if inside else {})}
    records = runs(poisson(0.5, 40_000, 300.0, endpoints=[model]), "fifo")
    hold(sojourns(records), lambda s: breakdowns(0.5 * s, s, mtbf_s=10.0, mttr_s=2.0), error=0.03)


@pytest.mark.more
def test_work_that_repeats_after_a_breakdown() -> None:
    crash = {"kind": "crash_repair", "mtbf_s": 3.0, "mttr_s": 1.0, "work": "repeats"}
    scenario = poisson(0.4, 40_000, 300.0, work=_CONSTANT, endpoints=[{"url": "server", "faults": [crash]}])

    def theory(s: float) -> float:
        return breakdowns(0.4 * s, s, mtbf_s=3.0, mttr_s=1.0, scv=0.0, repeats=True)

    hold(sojourns(runs(scenario, "fifo")), theory, error=0.03)


@pytest.mark.more
@pytest.mark.parametrize(
    "length", [exponential(2.0), {"kind": "deterministic", "mean_s": 2.0}], ids=lambda v: v["kind"]
)
def test_vacations_are_added_to_the_wait(length: dict[str, Any]) -> None:
    away = {"kind": "vacation", "length": length}
    model = {"url": "server", "faults": [away]}
    scv = 1.0 if length["kind"] == "exponential" else 0.0
    records = runs(poisson(0.6, 40_000, 200.0, work=_CONSTANT, endpoints=[model]), "fifo")
    theory = [
        lambda s: vacations(0.6 * s, s, scv=0.0, vacation_s=2.0, vacation_scv=scv).sojourn_s,
        lambda s: mg1(0.6 * s, s, scv=0.0).sojourn_s,
    ]
    hold(sojourns(records), theory[0], error=0.02)
    with pytest.raises(AssertionError):
        hold(sojourns(records), theory[1])


# -- clients of their own mind ----------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("pause_s", [0.5, 3.0])
def test_clients_that_try_again_are_a_retrial_queue(pause_s: float) -> None:
    retrial = {"pause": exponential(pause_s)}
    scenario = poisson(0.5, 9_000, 200.0, endpoints=[{"url": "server"}], max_waiters=0, requests={"retrial": retrial})
    records = runs(scenario, "fifo")
    hold(sojourns(records), lambda s: retrials(0.5 * s, s, pause_s=pause_s), error=0.03)
    assert not any(record.lost or record.timed_out for record in records)


@pytest.mark.more
def test_clients_that_give_up_after_some_retrials_are_those_of_twenty_lines() -> None:
    """M/M/1/1 with two retrials, the second pause twice as long, against events of its own."""
    rng = random.Random(1)
    calendar, over, free_s, gone, came = [(0.0, -1)], 0, 0.0, 0, 0
    while came < 200_000:
        now, returns = heapq.heappop(calendar)
        if returns < 0:
            came, returns = came + 1, 0
            heapq.heappush(calendar, (now + rng.expovariate(1.5), -1))
        if now >= free_s:
            free_s = now + rng.expovariate(1.0)
        elif returns < 2:
            heapq.heappush(calendar, (now + rng.expovariate(1.0) * 2.0**returns, returns + 1))
        else:
            gone += 1
        over += 1
    retrial = {"pause": exponential(1.0), "factor": 2.0, "most": 2}
    scenario = poisson(1.5, 8_000, 50.0, endpoints=[{"url": "server"}], max_waiters=0, requests={"retrial": retrial})
    hold(lost(scenario), lambda s: gone / came * s, error=0.02, bias=0.005, off=0.1)


# -- the shortest job first -------------------------------------------------------------------------


@pytest.mark.more
def test_the_shortest_job_first_is_cobhams() -> None:
    works = [0.2, 0.4, 0.4, 1.0, 3.0]
    work = {"kind": "empirical", "values_s": works}
    records = runs(poisson(0.8, 60_000, 300.0, work=work, endpoints=[{"url": "server"}]), "shortest_job_first")
    hold(waits(records), lambda s: shortest_job_first(0.8 * s, [s * w for w in works]).wait_s, error=0.03)


# -- overflow ---------------------------------------------------------------------------------------


@pytest.mark.more
def test_a_full_group_overflows_at_once_where_it_is_told_to() -> None:
    groups = [{"url": "http://own-{1..3}/"}, {"url": "http://rented-{1..2}/", "group": 1}]
    scenario = poisson(3.0, 12_000, 50.0, endpoints=groups, max_waiters=0, spill_after_s=0.0)
    hold(lost(scenario), lambda s: erlang_b(5, 3.0 * s), error=0.03)
    outages = scenario.changed(spill_after_s=1e9)
    hold(lost(outages), lambda s: erlang_b(3, 3.0 * s), error=0.03)
