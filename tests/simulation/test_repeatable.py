"""The same scenario gives the same numbers, whoever runs it; and what must not depend on the strategy does not."""

import pickle
import tracemalloc
from collections import defaultdict
from io import BytesIO
from typing import Any

import pytest
from balancer_simulator import Policy, Record, Scenario, simulate_once
from balancer_simulator.world.task import Task

from tests.simulation.scenarios import ALL, arriving, ended, endpoint, run

TROUBLED: dict[str, Any] = {
    "workload": {"kind": "on_off", "on_rate_per_s": 6.0, "off_rate_per_s": 1.0, "on_s": 5.0, "off_s": 5.0},
    "work": {"kind": "lognormal", "mean_s": 0.75, "cv": 2.0},
    "endpoints": [
        {"url": "http://plain-{1..2}/", "capacity": 2, "network": {"kind": "exponential", "mean_s": 0.05}},
        {"url": "slow", "speed": 0.5, "weight": 0.5, "service": {"kind": "exponential", "mean_s": 0.5}},
        {
            "url": "flapping",
            "capacity": 3,
            "parallel": 2,
            "host": "h",
            "labels": ["x"],
            "faults": [
                {"kind": "crash_repair", "mtbf_s": 20, "mttr_s": 3},
                {"kind": "fail_within", "probability": 0.1},
            ],
        },
    ],
    "hosts": {"h": {"cores": 1.5}},
    "requests": {
        "call_timeout_s": 5.0,
        "kinds": [{"name": "any", "share": 3}, {"name": "x", "labels": ["x"], "acquire_timeout_s": 4.0, "priority": 1}],
    },
    "changes": [{"at_s": 20, "do": "drain", "url": "slow"}, {"at_s": 30, "do": "add", "url": "slow"}],
    "horizon_s": 60.0,
    "warmup_s": 5.0,
    "replications": 2,
    "health": None,
}
"""Has a bit of everything that is random."""

STAGES = [{"name": "make", "tasks": 6, "workers": 2}, {"name": "judge", "tasks": 9, "workers": 3}]
WORKLOADS: dict[str, dict[str, Any]] = {
    "open": {},
    "closed": {"workload": {"kind": "closed", "workers": 6, "think": {"kind": "exponential", "mean_s": 0.25}}},
    "batch": {
        "workload": {"kind": "batch", "samples": 4, "samples_at_once": 2, "stages": STAGES},
        "warmup_s": 0.0,
        "horizon_s": 1000.0,
    },
}


RULED: dict[str, Any] = {
    "health": {"consecutive_failures": 2, "cooldown_s": 1.0},
    "limits": {"kind": "aimd"},
    "host_caps": {"h": 2},
    "retries": {"budget_per_s": 1.0},
    "requests": {**TROUBLED["requests"], "hedge_after_s": 1.0},
}
"""All rules, for what is troubled."""


def troubled(workload: str = "open", **values: Any) -> Scenario:
    return Scenario.model_validate({**TROUBLED, **WORKLOADS[workload], **values})


def bytes_of(record: Record) -> bytes:
    """Return all values, in bytes. Equal texts are equal bytes, also if they are one object here and two there."""
    file = BytesIO()
    pickler = pickle.Pickler(file)
    pickler.fast = True  # without a memo of objects
    pickler.dump(record)
    return file.getvalue()


# -- the same again ---------------------------------------------------------------------------------


any_rules = pytest.mark.parametrize("rules", [{}, RULED], ids=["no rules", "all rules"])


@pytest.mark.sampled(24)
@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("policy", ALL)
@any_rules
def test_the_same_run_gives_the_same_bytes(policy, workload, rules):
    first, second = (run(troubled(workload, **rules), policy) for _ in range(2))
    assert bytes_of(first) == bytes_of(second)
    assert first.completed > 20


PLAIN: dict[str, Any] = {
    "workload": {"kind": "poisson", "rate_per_s": 3.25},
    "endpoints": [{"url": "a{1..3}"}, {"url": "b", "capacity": 2, "speed": 0.5}],
    "horizon_s": 200.0,
    "warmup_s": 20.0,
    "health": None,
}
"""Has nothing of all that, so that its calls go the shortest way."""


# -- what figures were before -----------------------------------------------------------------------

# A change that is to make the simulator faster must not change a figure; one that means to says so and changes these.
PINNED: dict[tuple[str, str], tuple[int, float, float, float]] = {
    ("plain", "fifo"): (553, 0.6098148459731836, 1.9487793495442032, 742.8665948016381),
    ("plain", "least_in_flight"): (553, 0.6710609384935051, 1.997163722317753, 735.7239581824224),
    ("plain", "p2c"): (554, 0.6638879024097916, 1.9843872342033706, 734.2834976499712),
    ("troubled", "weighted_health"): (210, 0.06886869075342733, 0.8889167910965873, 200.44909753283602),
    ("troubled", "old_global_queue"): (197, 0.02128150255013613, 0.8349586834189376, 201.14994176788218),
    ("with rules", "fifo"): (181, 0.8349189376071684, 1.5729606354068009, 171.28434912983613),
    ("with rules", "least_in_flight"): (174, 0.39344474306533384, 1.0653615248798904, 158.1863713404387),
    ("with rules", "p2c"): (194, 0.4348665265649379, 1.1430640232745481, 172.97148629383486),
}
"""By scenario and policy: requests completed, mean wait, mean sojourn and busy seconds of all endpoints."""

SCENARIOS = {"plain": PLAIN, "troubled": TROUBLED, "with rules": {**TROUBLED, **RULED}}


@pytest.mark.parametrize(("scenario", "policy"), PINNED)
def test_the_figures_are_what_they_were(scenario, policy):
    record = simulate_once(Scenario.model_validate(SCENARIOS[scenario]), Policy(strategy=policy))
    busy_s = sum(endpoint.busy_s for endpoint in record.by_endpoint)
    assert (record.completed, record.wait.mean, record.sojourn.mean, busy_s) == pytest.approx(
        PINNED[scenario, policy], rel=1e-9
    )


# -- another seed is another run --------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS)
def test_another_seed_or_replication_is_another_run(workload):
    runs = [run(troubled(workload, seed=seed), "fifo", number) for seed in (1, 2) for number in (0, 1)]
    assert len({record.sojourn.mean for record in runs}) == 4


# -- common random numbers --------------------------------------------------------------------------


def seen(scenario: Scenario, policy: str) -> dict[int, Task]:
    """Return the requests of a run, by their numbers."""
    found: dict[int, Task] = {}
    run(scenario, policy, observer=lambda task, _: found.setdefault(task.number, task))
    return found


def work(task: Task) -> tuple[float, float, str]:
    return task.arrived_s, task.work_s, task.demand.name


def of_workers(found: dict[int, Task]) -> dict[Any, list[tuple[float, str]]]:
    """Return the works of each worker, in their order."""
    works = defaultdict(list)
    for task in (found[number] for number in sorted(found)):
        works[task.worker and task.worker.index].append((task.work_s, task.demand.name))
    return works


@pytest.mark.sampled(20)
@any_rules
@pytest.mark.parametrize("policy", [policy for policy in ALL if policy != "fifo"])
def test_every_policy_meets_the_same_requests(policy, rules):
    expected, found = (seen(troubled(**rules), name) for name in ("fifo", policy))
    both = expected.keys() & found.keys()  # some found no endpoint under one of them
    assert len(both) > 100
    assert [work(expected[number]) for number in both] == [work(found[number]) for number in both]


@pytest.mark.parametrize("policy", [policy for policy in ALL if policy != "fifo"])
def test_the_nth_request_of_a_worker_is_the_same_under_every_policy(policy):
    # Every request is seen: there is no time-out, and all may go anywhere.
    values: dict[str, Any] = {"requests": {"kinds": [{"name": "a"}, {"name": "b"}]}, "changes": []}
    expected, found = (of_workers(seen(troubled("closed", **values), name)) for name in ("fifo", policy))
    assert expected.keys() == found.keys()
    for worker, works in expected.items():
        pairs = list(zip(works, found[worker], strict=False))
        assert all(one == other for one, other in pairs)
        if policy not in ("old_global_queue", "always_first"):  # under which some workers get next to nothing
            assert len(pairs) > 10


# -- memory -----------------------------------------------------------------------------------------


def peak_bytes(count: int, *, requests: bool) -> int:
    scenario = arriving(4.0, endpoint("http://h-{1..8}/"), horizon_s=count / 4.0)
    tracemalloc.start()
    try:
        record = run(scenario, requests=requests)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(ended(record)) == pytest.approx(count, rel=0.1)  # Poisson: 5000 +- 1.4%
    return peak


@pytest.mark.sampled(1)
@pytest.mark.parametrize("requests", [False, True])
def test_memory_grows_by_a_row_for_each_request_that_is_kept_and_else_not(requests):
    few, many = (peak_bytes(count, requests=requests) for count in (5_000, 45_000))
    # Both have blocks of rows, of waits and of random numbers, and what is loaded once: by chance some 400 kB more or
    # less, 10 bytes for each of the 40 000 requests. An object that is left of each would be some hundred.
    assert (many - few) / 40_000 < 100
