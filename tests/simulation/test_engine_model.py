"""The simulator's model, by hand: what a scenario says happens, at the instant that arithmetic says."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import pytest
from balancer_simulator import Record, Scenario
from balancer_simulator.scenario.workload import Arrivals, Batch
from balancer_simulator.world.batch import works_of
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.endpoint import Lease
from tests.registered import few_first
from tests.simulation.scenarios import (
    ALL,
    BROKEN,
    ONCE,
    at,
    batch,
    calls,
    change,
    closed,
    ended,
    endpoint,
    run,
    spans,
    times,
)

# -- endpoints, faults, calls that fail, who gets what and when -------------------------------------

_AGAIN = [change(0.5, "drain", "b"), change(5, "add", "b")]
_PAIR = (endpoint("a"), endpoint("b"))
_LIMITED = {"attempts": 1, "call_timeout_s": 2}
_LONG_WAIT = {"kinds": [{"acquire_timeout_s": 2.75}]}


def fixed(mean_s: float) -> dict[str, Any]:
    return {"kind": "deterministic", "mean_s": mean_s}


def faulty(*faults: dict[str, Any], at_s: Sequence[float], work_s: float = 0.5, **values: Any) -> Scenario:
    """Return calls on an endpoint with room for all of them."""
    return at(at_s, work_s, endpoint(capacity=100, faults=list(faults), **values), requests=ONCE)


def slow(factor: float, **window: float) -> dict[str, Any]:
    return {"kind": "slow_within", "factor": factor, **window}


_TIMES: dict[str, tuple[Scenario, list[tuple[float, float]]]] = {
    "calls take their work by the speed": (
        at([0, 0, 0.5], [1, 2, 1], endpoint(capacity=2, speed=2.0)),
        [(0, 0.5), (0, 1), (0.5, 1)],
    ),
    "who finds no slot waits for one": (
        at([0, 0, 0.5], [1, 2, 1], endpoint(speed=2.0)),
        [(0, 0.5), (0.5, 1.5), (1.5, 2)],
    ),
    "calls queue inside an endpoint that has more leases than room": (
        at([0, 0, 0], [3, 1, 1], endpoint(capacity=3, parallel=1)),
        [(0, 3), (0, 4), (0, 5)],
    ),
    "endpoints of one host share its cores": (
        at(
            [0, 0, 0], [1, 3, 2], *map(endpoint, ("http://h:1/", "http://h:2/", "http://other/")),
            hosts={"h": {"cores": 1}},
        ),
        [(0, 2), (0, 4), (0, 2)],
    ),
    # 1 s is left at 1 s; both get 0.5 s of work by 2 s.
    "who comes later shares the core": (
        at([0, 1, 4], [2, 0.5, 1], endpoint(capacity=3, host="h"), hosts={"h": {"cores": 1}}),
        [(0, 2.5), (1, 2), (4, 5)],
    ),
    "nobody uses more than one core": (at([0], 1, endpoint(host="h"), hosts={"h": {"cores": 4}}), [(0, 1)]),
    "service stands for the work": (at([0], 1, endpoint(service=fixed(3.0), speed=2.0)), [(0, 1.5)]),
    "network comes on top": (at([0], 1, endpoint(network=fixed(0.25), speed=2.0)), [(0, 0.75)]),
    "nobody stands in line while on the way": (
        at([0, 0], 1, endpoint(capacity=2, parallel=1, network=fixed(0.25))),
        [(0, 1.25), (0, 2.25)],
    ),
    "slow_within slows the calls that begin then": (
        faulty(slow(3, from_s=2, to_s=4), at_s=[1.75, 2, 3.75, 4]),
        [(1.75, 2.25), (2, 3.5), (3.75, 5.25), (4, 4.5)],
    ),
    "what queues in a server is slowed by when its work begins": (
        at([0, 0, 1], [1, 1, 2], endpoint(capacity=3, parallel=1, faults=[slow(3, from_s=0.5, to_s=1.5)])),
        [(0, 1), (0, 4), (1, 6)],
    ),
    "faults add up": (faulty(slow(2), slow(3), at_s=[0, 2]), [(0, 3), (2, 5)]),
    "who fails at once is not slowed": (
        faulty(slow(2), {"kind": "fail_within", "after_s": 0.25}, at_s=[0]),
        [(0, 0.25)],
    ),
    "a larger capacity counts at once": (at([0, 0], 3, changes=[change(1, "update", capacity=2)]), [(0, 3), (1, 4)]),
    "a smaller capacity counts at once": (
        at([0, 0, 0.5], 2, endpoint(capacity=2), changes=[change(1, "update", capacity=1)]),
        [(0, 2), (0, 2), (2, 4)],
    ),
    "a new capacity gives no more room inside": (
        at([0, 0], 3, endpoint(parallel=1), changes=[change(1, "update", capacity=2)]),
        [(0, 3), (1, 6)],
    ),
    "of those who wait only so many may": (at([0, 0, 0, 2], 1, max_waiters=1), [(0, 1), (1, 2), (2, 3)]),
    "nobody may wait where that is said": (at([0, 0, 1], 1, max_waiters=0), [(0, 1), (1, 2)]),
}  # fmt: skip


_CALLS: dict[str, tuple[Scenario, list[tuple[int, str, float, float, bool]]]] = {
    "fail_within does the work and fails": (
        faulty({"kind": "fail_within", "from_s": 2, "to_s": 4}, at_s=[1.75, 2, 3.75, 4]),
        [(1, "a", 1.75, 2.25, True), (2, "a", 2, 2.5, False), (3, "a", 3.75, 4.25, False), (4, "a", 4, 4.5, True)],
    ),
    "fail_within does no work if it says after how long": (
        faulty({"kind": "fail_within", "from_s": 2, "to_s": 4, "after_s": 0.125}, at_s=[1.75, 2, 3.75, 4]),
        [(2, "a", 2, 2.125, False), (1, "a", 1.75, 2.25, True), (3, "a", 3.75, 3.875, False), (4, "a", 4, 4.5, True)],
    ),
    "who is slow and fails does both": (faulty(slow(2), {"kind": "fail_within"}, at_s=[0]), [(1, "a", 0, 1, False)]),
    "a call that takes too long is given up and its slot is free": (
        at([0, 0], [5, 1], endpoint(), requests=_LIMITED),
        [(1, "a", 0, 2, False), (2, "a", 2, 3, True)],
    ),
    # The second is inside from 1.5 s and given up at 2 s; only then is the third let in.
    "a call that is given up leaves the line": (
        at([0, 0, 0.5], [1.5, 9, 0.25], endpoint(capacity=3, parallel=1), requests=_LIMITED),
        [(1, "a", 0, 1.5, True), (2, "a", 0, 2, False), (3, "a", 0.5, 2.25, True)],
    ),
    "a call that is given up leaves the way": (
        at([0], 1, endpoint(network=fixed(3.0)), requests=_LIMITED),
        [(1, "a", 0, 2, False)],
    ),
    "a time-out makes room on a shared host": (
        at([0, 1], [9, 1], endpoint(capacity=2, host="h"), hosts={"h": {"cores": 1}}, requests=_LIMITED),
        [(1, "a", 0, 2, False), (2, "a", 1, 2.5, True)],
    ),
    "a retry does not go where it failed": (
        at([0], 1, endpoint("a", **BROKEN), endpoint("b")),
        [(1, "a", 0, 1, False), (1, "b", 1, 2, True)],
    ),
    # `fifo` gives the first request a, the second b. a is free from 1 s on, but only b will do, at 5 s.
    "a retry waits for another rather than go where it failed": (
        at([0, 0], [1, 5], endpoint("a", **BROKEN), endpoint("b")),
        [(1, "a", 0, 1, False), (2, "b", 0, 5, True), (1, "b", 5, 6, True)],
    ),
    "who has waited long enough is refused": (
        at([0, 0, 0.5], [3, 1, 1], requests=_LONG_WAIT),
        [(1, "a", 0, 3, True), (3, "a", 3, 4, True)],
    ),
    "each attempt has the whole time to wait": (
        at([0, 0.5], [1, 2.5], endpoint("a", **BROKEN), endpoint("b"), requests={**_LONG_WAIT, "attempts": 2}),
        [(1, "a", 0, 1, False), (2, "b", 0.5, 3, True), (1, "b", 3, 4, True)],
    ),
    "who drains ends its calls and takes no more": (
        at([0, 0, 1, 5.25], [2, 2, 1, 1], *_PAIR, changes=_AGAIN),
        [(1, "a", 0, 2, True), (2, "b", 0, 2, True), (3, "a", 2, 3, True), (4, "a", 5.25, 6.25, True)],
    ),
    "who is removed ends its calls": (at([0, 0, 2], 3, changes=[change(1, "remove")]), [(1, "a", 0, 3, True)]),
    "an endpoint may join late": (
        at([0, 0, 0], 4, endpoint("a"), endpoint("late", from_s=2)),
        [(1, "a", 0, 4, True), (2, "late", 2, 6, True), (3, "a", 4, 8, True)],
    ),
    "before the first joins all are refused": (at([0, 3], 1, endpoint(from_s=2)), [(2, "a", 3, 4, True)]),
}  # fmt: skip


@pytest.mark.parametrize("case", [*_TIMES, *_CALLS])
def test_calls_go_where_and_end_when_arithmetic_says(case):
    scenario, expected = {**_TIMES, **_CALLS}[case]
    record = run(scenario)
    assert (calls if case in _CALLS else times)(record) == expected
    check_calls(scenario, record)
    check_counts(scenario, record)
    assert isinstance(scenario.workload, Arrivals)
    assert (sum(ended(record)), record.unfinished) == (len(scenario.workload.at_s), 0)


@pytest.mark.parametrize("quick", [{}, {"after_s": 0.01}])
def test_failures_come_with_their_probability(quick):
    record = run(faulty({"kind": "fail_within", "probability": 0.25, **quick}, at_s=[n / 8 for n in range(790)]))
    calls_ended = record.completed + record.lost
    deviation = (0.25 * 0.75 / calls_ended) ** 0.5  # binomial: 1.5% of all
    assert record.lost / calls_ended == pytest.approx(0.25, abs=4 * deviation)


def crash_instants(mtbf_s: float, mttr_s: float, seed: int = 1) -> tuple[float, float, float]:
    """Return when the first endpoint crashes, is up again, and crashes again."""
    rng = Streams(seed, 0).choices(Purpose.FAULTS, 0, 1)
    down_s = rng.expovariate(1 / mtbf_s)
    up_s = down_s + rng.expovariate(1 / mttr_s)
    return down_s, up_s, up_s + rng.expovariate(1 / mtbf_s)


def test_a_crash_fails_what_is_under_way_and_refuses_till_it_is_repaired():
    down_s, up_s, again_s = crash_instants(20, 4)
    crash = {"kind": "crash_repair", "mtbf_s": 20, "mttr_s": 4, "refuse_s": 0.125}
    middle_s = (down_s + up_s) / 2
    in_time_s = up_s + 0.01
    record = run(faulty(crash, at_s=[0, down_s - 0.25, middle_s, in_time_s], work_s=down_s - 1))
    _, caught, refused, _ = sorted(spans(record), key=lambda span: span.task)
    assert (caught.ended_s, caught.ok) == (pytest.approx(down_s), False)
    assert (refused.ended_s, refused.ok) == (pytest.approx(min(middle_s + 0.125, again_s)), False)
    outcomes = {span.task: span.ok for span in spans(record)}
    assert outcomes == {1: True, 2: False, 3: False, 4: in_time_s + down_s - 1 < again_s}


def test_a_crash_empties_the_line_and_those_who_wait_outside_are_refused():
    down_s, up_s, _ = crash_instants(20, 4)
    crash = {"kind": "crash_repair", "mtbf_s": 20, "mttr_s": 4, "refuse_s": 0.0625}
    record = run(at([0, 0, 0], 1000, endpoint(capacity=2, parallel=1, faults=[crash]), requests=ONCE))
    assert [(end_s, ok) for _, _, _, end_s, ok in calls(record)] == [
        (pytest.approx(down_s), False),
        (pytest.approx(down_s), False),
        (pytest.approx(down_s + 0.0625), False),
    ]
    assert up_s > down_s + 0.0625
    assert ended(record) == (0, 3, 0, 0)


def test_higher_priority_goes_first_among_those_that_came_within_ten_seconds():
    kinds = [{"name": "low"}, {"name": "high", "priority": 1}]
    at_s = [n / 4 for n in range(21)]  # within 5 s, while the first call takes 8
    record = run(at(at_s, [8, *[1] * 20], requests={"kinds": kinds}))
    order = [span.kind for span in spans(record)[1:]]
    assert order == sorted(order)  # all high ones, then all low ones
    assert len(set(order)) == 2


def test_kinds_come_in_their_shares_and_with_their_work():
    kinds = [{"name": "short", "share": 3}, {"name": "long", "work": {"kind": "deterministic", "mean_s": 2}}]
    workload = {"kind": "poisson", "rate_per_s": 16}
    short = {"kind": "deterministic", "mean_s": 0.5}
    values = {"workload": workload, "endpoints": [endpoint(capacity=1000)], "requests": {"kinds": kinds}, "work": short}
    record = run(Scenario.model_validate({**values, "horizon_s": 100.0}))
    lasted = {span.kind: {round(span.ended_s - span.started_s, 9)} for span in spans(record)}
    assert lasted == {"short": {0.5}, "long": {2.0}}
    count = len(spans(record))
    deviation = (0.75 * 0.25 / count) ** 0.5  # binomial: 1.1% of all
    assert sum(span.kind == "short" for span in spans(record)) / count == pytest.approx(0.75, abs=4 * deviation)


def test_a_new_weight_is_what_the_pool_knows():
    weights: list[tuple[float, float]] = []

    def see(task: Task, lease: Lease) -> None:
        weights.append((lease.granted_s, lease.endpoint.weight))

    run(at([0, 2], 1, changes=[change(1, "update", weight=3.0)]), observer=see)
    assert weights == [(0, 1.0), (2, 3.0)]


# -- the designs it replaces ------------------------------------------------------------------------


def test_the_old_queue_is_kept_until_its_owner_has_had_no_work_for_a_second():
    # Both ask at 2 s. The first calls till 3.05 s and keeps the endpoint till 4.05 s; the second listens from
    # 2.0 to 2.1 s, from 2.2 to 2.3 s ... so it hears at once. At 4.15 s it would be asleep, till 4.2 s.
    def starts(work_s: float) -> list[float]:
        record = run(closed(2, 2.0, work_s, horizon_s=7.0), "old_global_queue")
        return [span.started_s for span in spans(record)]

    assert starts(1.05) == pytest.approx([2.0, 4.05])
    assert starts(1.15) == pytest.approx([2.0, 4.2])


def test_the_old_queue_retries_where_it_failed():
    requests = {"attempts": 2}
    pair = [endpoint("a", **BROKEN), endpoint("b")]
    record = run(closed(1, 0.25, 1.0, *pair, requests=requests, horizon_s=9.5), "old_global_queue")
    assert {url for _, url, *_ in calls(record)} == {"a"}
    assert record.completed == 0
    assert record.lost == 4


def test_worker_k_always_uses_endpoint_k():
    trio = [endpoint(url) for url in "abc"]
    record = run(closed(5, 0.25, 1.0, *trio, horizon_s=20.0), "always_first")
    first_round = {task: url for task, url, *_ in calls(record) if task <= 5}
    assert first_round == {1: "a", 2: "b", 3: "c", 4: "a", 5: "b"}
    assert {url for _, url, *_ in calls(run(at([0, 0, 3], 1, *trio), "always_first"))} == {"a"}


# -- what counts ------------------------------------------------------------------------------------


def test_who_comes_before_the_warm_up_ends_is_not_counted():
    record = run(at([0, 0.5, 1, 2], [3, 1, 1, 1], endpoint(capacity=9), warmup_s=1.0, horizon_s=9.0))
    assert ended(record) == (2, 0, 0, 0)
    assert record.wait.count == record.sojourn.count == 2
    (only,) = record.by_endpoint
    assert (only.calls, only.busy_s, record.measured_s) == (2, 2 + 0.5 + 1 + 1, 8.0)  # from 1 s on, and no sooner
    assert record.metrics["throughput_per_s"] == 2 / 8


def test_calls_of_workers_count_from_the_warm_up_on():
    record = run(closed(1, 1.0, 1.0, warmup_s=4.5, horizon_s=9.5))
    assert record.crews == ((3,),)  # at 5, 7 and 9 s
    assert record.unfinished == 1


def test_what_is_under_way_at_the_end_is_unfinished():
    record = run(at([0, 0, 3], [2, 2, 1], horizon_s=3.5))
    assert ended(record) == (1, 0, 0, 2)
    assert record.by_endpoint[0].busy_s == 3.5
    assert record.metrics["utilisation"] == 1.0


# -- batches ----------------------------------------------------------------------------------------

TWO_STAGES = [{"name": "make", "tasks": 4, "workers": 2}, {"name": "judge", "tasks": 3, "workers": 3}]


RUN_STAGE = [{"name": "run", "tasks": 12, "workers": 12}]


@pytest.mark.parametrize(
    ("scenario", "makespan_s", "bound_s"),
    [
        (batch(TWO_STAGES, endpoint(capacity=3)), 3.0, 3.0),  # 2 rounds of 2, then 1 of 3
        (batch(TWO_STAGES, endpoint(capacity=2)), 4.0, 3.5),  # 7 s of work on two slots
        (batch(TWO_STAGES, endpoint(capacity=2, speed=2.0)), 2.0, 1.75),
        (batch(RUN_STAGE, endpoint(capacity=12, host="h", speed=2.0), hosts={"h": {"cores": 3}}), 2.0, 2.0),
        (batch(RUN_STAGE, endpoint(capacity=12, parallel=3)), 4.0, 4.0),
        # Only so many samples at once.
        *(
            (batch(TWO_STAGES, endpoint(capacity=20), samples=samples, samples_at_once=at_once), makespan_s, bound_s)
            for samples, at_once, makespan_s, bound_s in [(4, 1, 12, 12), (4, 2, 6, 6), (4, 4, 3, 3), (3, 2, 6, 4.5)]
        ),
    ],
)
def test_a_batch_by_hand(scenario, makespan_s, bound_s):
    record = run(scenario)
    assert (record.makespan_s, record.bound_s) == (makespan_s, bound_s)
    assert record.completed == sum(ended(record))


def test_the_tasks_of_a_stage_are_shared_among_its_workers():
    record = run(batch(TWO_STAGES, endpoint(capacity=3)))
    assert record.crews == ((2, 2), (1, 1, 1))
    assert ended(record) == (7, 0, 0, 0)


def test_a_batch_that_is_not_done_in_time_has_no_makespan():
    record = run(batch(TWO_STAGES, endpoint(capacity=1), horizon_s=2.5))
    assert record.makespan_s is None
    assert "makespan_s" not in record.metrics
    assert (record.completed, record.unfinished) == (2, 2)
    assert record.measured_s == 2.5
    assert record.by_endpoint[0].busy_s == 2.5


def test_a_batch_of_which_nothing_can_be_done_ends_all_the_same():
    stage = {"name": "run", "tasks": 5000, "workers": 3}
    record = run(batch([stage, stage], endpoint(from_s=50.0), samples=2, samples_at_once=1))
    assert ended(record) == (0, 0, 20_000, 0)
    assert record.makespan_s == 0.0


def test_a_lost_task_does_not_stop_its_stage():
    record = run(batch(TWO_STAGES, endpoint(capacity=3, **BROKEN), requests=ONCE))
    assert ended(record) == (0, 7, 0, 0)
    assert record.makespan_s == 3.0


def test_time_goes_on_though_every_request_is_refused_at_once():
    """A worker that does not pause asks again at the same instant, for ever, unless something makes it."""
    record = run(closed(3, 0.0, 1.0, endpoint(from_s=2.0), horizon_s=4.0))
    assert record.completed > 0
    full = run(closed(3, 0.0, 1.0, max_waiters=1, horizon_s=4.0))
    assert full.completed == 3
    black_hole = endpoint(faults=[{"kind": "fail_within", "after_s": 0.0}])
    assert run(closed(1, 0.0, 1.0, black_hole, horizon_s=1.0)).lost > 0


# -- whatever the scenario --------------------------------------------------------------------------

_eighths = st.integers(0, 80).map(lambda n: n / 8)
_sometimes = st.sampled_from([0.5, 1.0])

_faults = st.one_of(
    st.builds(lambda f: {"kind": "slow_within", "from_s": f, "to_s": f + 4, "factor": 3}, _eighths),
    st.builds(
        lambda f, quick, p: {"kind": "fail_within", "from_s": f, "to_s": f + 6, "probability": p, **quick},
        _eighths, st.sampled_from([{}, {"after_s": 0.0}, {"after_s": 0.25}]), _sometimes,
    ),
    st.builds(lambda quick: {"kind": "crash_repair", "mtbf_s": 5, "mttr_s": 2, "refuse_s": quick}, _sometimes),
    st.just({"kind": "slow_spells", "between": fixed(4.0), "lasts": fixed(2.0), "factor": 2}),
)  # fmt: skip
_sound = {
    "capacity": st.integers(1, 3),
    "speed": st.sampled_from([0.5, 1.0, 2.0]),
    "weight": st.sampled_from([1.0, 3.0]),
    "host": st.none() | st.sampled_from(["shared", "own"]),
    "parallel": st.none() | st.integers(1, 2),
    "network": st.none() | st.just({"kind": "exponential", "mean_s": 0.25}),
}


@st.composite
def _clusters(draw: st.DrawFn, /, **more: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Draw one to three endpoints, named a, b, c, and the host that some of them share."""
    models = draw(st.lists(st.fixed_dictionaries({**_sound, **more}), min_size=1, max_size=3))
    shared = any(model["host"] == "shared" for model in models)
    endpoints = [endpoint(url, **model) for url, model in zip("abc", models, strict=False)]
    return {"endpoints": endpoints, "hosts": {"shared": {"cores": draw(st.sampled_from([0.5, 1.0]))}} if shared else {}}


_troubled = _clusters(
    faults=st.lists(_faults, max_size=2), from_s=st.sampled_from([0.0, 0.0, 1.5]), labels=st.sampled_from([[], ["x"]])
)
_kind = st.fixed_dictionaries(
    {
        "priority": st.integers(0, 1),
        "acquire_timeout_s": st.none() | st.sampled_from([0.25, 3.0]),
        "labels": st.sampled_from([[], [], ["x"]]),
    }
)
_requests = st.fixed_dictionaries(
    {
        "attempts": st.integers(1, 3),
        "call_timeout_s": st.none() | st.sampled_from([0.5, 4.0]),
        "kinds": st.lists(_kind, min_size=1, max_size=2),
    }
)


@st.composite
def drawn_values(draw: st.DrawFn) -> dict[str, Any]:
    """Draw all of a scenario but its workload."""
    values = {**draw(_troubled), "requests": draw(_requests), "max_waiters": draw(st.none() | st.integers(0, 3))}
    if not any("x" in model["labels"] for model in values["endpoints"]):
        values["requests"]["kinds"] = [{**kind, "labels": []} for kind in values["requests"]["kinds"]]
    there = [model["url"] for model in values["endpoints"] if not model["from_s"]]
    values["changes"] = draw(_changes(draw(st.sampled_from(there)))) if there else []
    return values


def begun(values: dict[str, Any], horizon_s: float) -> dict[str, Any]:
    """Return `values` without the faults that would begin when the run is over."""
    models = [
        {**model, "faults": [fault for fault in model["faults"] if fault.get("from_s", 0.0) < horizon_s]}
        for model in values["endpoints"]
    ]
    return {**values, "endpoints": models}


def _changes(url: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Draw what one may do to an endpoint that is there, in an order that makes sense."""
    again = [change(1, "drain", url), change(2, "add", url)]
    resized = [change(1, "update", url, capacity=3), change(2, "update", url, capacity=1, weight=2.0)]
    return st.sampled_from([[], again, [change(1, "remove", url)], resized])


def check_calls(scenario: Scenario, record: Record) -> None:
    """Check what holds for the calls of any run."""
    most = scenario.most_leases
    assert all(0 <= span.started_s <= span.ended_s <= scenario.horizon_s for span in spans(record))
    for url, mine in _by(record, lambda span: span.url).items():
        assert _most_at_once(mine) <= most[url], f"{url} has too many calls at once"
    for mine in _by_task(record).values():
        assert len(mine) <= scenario.requests.attempts
        assert not any(span.ok for span in mine[:-1]), "a request that has its answer called again"
        assert all(later.started_s >= earlier.ended_s for earlier, later in pairwise(mine))


def _most_at_once(mine: Sequence[Any]) -> int:
    """Return the largest number under way; of one instant, ends come before begins, as a slot is handed on at once."""
    lasting = [span for span in mine if span.ended_s > span.started_s]
    steps = sorted([(span.started_s, 1) for span in lasting] + [(span.ended_s, -1) for span in lasting])
    return max(accumulate(step for _, step in steps), default=0)


def check_counts(scenario: Scenario, record: Record) -> None:
    """Check the counts of a run without warm-up against its calls."""
    assert record.completed == sum(span.ok for span in spans(record)) == record.sojourn.count
    assert record.lost == sum(
        not spans_of_task[-1].ok and len(spans_of_task) == scenario.requests.attempts
        for spans_of_task in _by_task(record).values()
    )
    assert sum(e.failures for e in record.by_endpoint) == sum(not span.ok for span in spans(record))
    begun = sum(e.calls for e in record.by_endpoint)
    assert begun == record.wait.count
    assert 0 <= begun - len(spans(record)) <= record.unfinished
    by_url = _by(record, lambda span: span.url)
    for e in record.by_endpoint:
        assert e.busy_s >= sum(span.ended_s - span.started_s for span in by_url.get(e.url, [])) - 1e-9


def _by(record: Record, key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    found = defaultdict(list)
    for span in spans(record):
        found[key(span)].append(span)
    return found


def _by_task(record: Record) -> dict[int, list[Any]]:
    return _by(record, lambda span: span.task)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("policy", few_first(ALL))
@settings(max_examples=20)
@given(
    workers=st.integers(1, 5),
    think_s=st.sampled_from([0.0, 0.75]),
    work_s=st.sampled_from([0.0, 0.5]),
    values=drawn_values(),
)
def test_every_worker_goes_on(policy, workers, think_s, work_s, values):
    """It thinks, or has one request under way: so requests made and requests ended differ by no more than that."""
    seen: set[int] = set()
    scenario = closed(workers, think_s, work_s, horizon_s=4.0, **begun(values, 4.0))
    record = run(scenario, policy, observer=lambda task, _: seen.add(task.number))
    assert record.unfinished <= workers
    assert sum(ended(record)) >= max(seen, default=0) - workers
    assert sum(ended(record)) >= len(seen)
    assert sum(ended(record)) > 0
    assert len(record.crews[0]) == workers
    assert sum(record.crews[0]) == record.wait.count
    check_calls(scenario, record)
    check_counts(scenario, record)


_stages = st.lists(
    st.fixed_dictionaries({"tasks": st.integers(1, 12), "workers": st.integers(1, 5)}), min_size=1, max_size=3
).map(lambda stages: [{**stage, "name": f"stage {number}"} for number, stage in enumerate(stages)])
_batches = st.fixed_dictionaries(
    {
        "samples": st.integers(1, 6),
        "samples_at_once": st.integers(1, 4),
        "work": st.sampled_from([{"kind": "exponential", "mean_s": 1.0}, {"kind": "deterministic", "mean_s": 0.5}]),
        "seed": st.integers(0, 99),
    }
)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("policy", few_first(ALL))
@given(stages=_stages, cluster=_clusters(), shape=_batches, failing=st.booleans())
def test_no_batch_beats_its_bound_and_stages_come_in_order(policy, stages, cluster, shape, failing):
    if failing:  # calls that fail have done their work, and the attempts suffice
        cluster["endpoints"][0]["faults"] = [{"kind": "fail_within", "probability": 0.3}]
    requests = {"attempts": 100}
    endpoints = cluster.pop("endpoints")
    scenario = batch(stages, *endpoints, **shape, **cluster, requests=requests, horizon_s=1e6)
    parts: dict[int, str] = {}
    record = run(scenario, policy, observer=lambda task, _: parts.setdefault(task.number, task.worker.part))
    workload = scenario.workload
    assert isinstance(workload, Batch)
    assert record.makespan_s is not None
    assert record.bound_s is not None
    # What rounding may do to a sum of a thousand durations.
    assert record.makespan_s >= record.bound_s * (1 - 1e-9)
    works = works_of(scenario, workload, Streams(scenario.seed, 0))
    assert ended(record) == (sum(len(w) for sample in works for w, _ in sample), 0, 0, 0)
    assert Counter(parts[span.task] for span in spans(record) if span.ok) == {
        f"sample {sample + 1}: {stage['name']}": len(works[sample][number][0])
        for sample in range(workload.samples)
        for number, stage in enumerate(stages)
    }
    check_order(workload, record, parts)
    check_calls(scenario, record)


def check_order(workload: Batch, record: Record, parts: Mapping[int, str]) -> None:
    """Check that a stage begins once the one before has ended, and how many samples and workers are at it at once."""
    by_part = _by(record, lambda span: parts[span.task])
    begins = {part: min(span.started_s for span in mine) for part, mine in by_part.items()}
    ends = {part: max(span.ended_s for span in mine) for part, mine in by_part.items()}
    for number in range(1, workload.samples + 1):
        stages = [f"sample {number}: {stage.name}" for stage in workload.stages]
        assert all(begins[later] >= ends[earlier] for earlier, later in pairwise(stages))
    for stage in workload.stages:
        for number in range(1, workload.samples + 1):
            assert _most_at_once(by_part[f"sample {number}: {stage.name}"]) <= stage.workers
    for begin_s in begins.values():
        under_way = {p.partition(":")[0] for p in begins if begins[p] <= begin_s < ends[p]}
        assert len(under_way) <= workload.samples_at_once
