"""Health, limits, caps, slots and the retry budget in the simulator: the core's own, at the instants they are due."""

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from balancer_simulator import Record, Scenario
from balancer_simulator.run.disciplines import BASELINES
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.endpoint import Lease
from tests.registered import NAMES, few_first
from tests.simulation.scenarios import ALL, BROKEN, ONCE, at, batch, calls, closed, ended, endpoint, run
from tests.simulation.test_engine_model import begun, check_calls, check_counts, drawn_values
from tests.simulation.test_repeatable import bytes_of


class Out:
    """Told of every grant; keeps what is out at the time, and the most there ever was.

    Attributes:
        most: slots, by URL and by host.
        grants: how many there were.
    """

    def __init__(self) -> None:
        self._out: list[Lease] = []
        self.most = Counter[str]()
        self.grants = 0

    def __call__(self, task: Task, lease: Lease) -> None:
        self.grants += 1
        self._out = [*self.now(), lease]
        used = Counter[str]()
        for other in self._out:
            for place in {other.endpoint.url, other.endpoint.host or ""}:
                used[place] += other.slots
        self.most |= used

    def now(self) -> list[Lease]:
        return [lease for lease in self._out if not lease.ended]


# -- health -----------------------------------------------------------------------------------------


def black_hole(**values: Any) -> Scenario:
    """Six callers on four endpoints with two slots each; the first fails every call in 10 ms."""
    hole = endpoint("hole", capacity=2, faults=[{"kind": "fail_within", "after_s": 0.01}])
    return Scenario.model_validate(
        {
            "workload": {"kind": "closed", "workers": 6},
            "endpoints": [hole, endpoint("sound-{1..3}", capacity=2)],
            "requests": ONCE,
            "horizon_s": 300.0,
            **values,
        }
    )


@pytest.mark.parametrize("policy", NAMES)
def test_a_black_hole_takes_next_to_no_calls_with_ejection(policy: str) -> None:
    record = run(black_hole(health={}), policy)
    assert record.metrics["calls"] > 1500
    assert record.shares["hole"] <= 0.02


@pytest.mark.parametrize("policy", ["fifo", "least_in_flight"])
def test_a_black_hole_takes_most_calls_without(policy: str) -> None:
    assert run(black_hole(horizon_s=60.0, health=None), policy).shares["hole"] > 0.5


def first_cooldown_s(cooldown_s: float) -> float:
    """Return how long the first cooldown of a run lasts."""
    return cooldown_s * (0.5 + 0.5 * Streams(1, 0).choices(Purpose.HEALTH).random())


@pytest.mark.parametrize("asks_s", [0.5, 1.25], ids=["before the ejection", "after it"])
def test_who_can_only_use_what_is_ejected_is_served_when_its_cooldown_is_over(asks_s: float) -> None:
    """The call at 0 fails at 1; b does not do for the second request, which waits for a to become half open."""
    health = {"consecutive_failures": 1, "cooldown_s": 4.0}
    requests = {"attempts": 1, "kinds": [{"labels": ["x"]}]}
    pair = [endpoint("a", labels=["x"], faults=[{"kind": "fail_within", "to_s": 0.5}]), endpoint("b")]
    record = run(at([0, asks_s], 1.0, *pair, health=health, requests=requests))
    _, second = sorted(record.spans, key=lambda span: span.task)
    assert second.started_s == pytest.approx(1.0 + first_cooldown_s(4.0))
    assert ended(record) == (1, 1, 0, 0)


def test_who_has_no_time_to_wait_out_a_cooldown_is_refused_when_its_time_is_up() -> None:
    health = {"consecutive_failures": 1, "cooldown_s": 40.0}
    requests = {"attempts": 1, "kinds": [{"labels": ["x"], "acquire_timeout_s": 3.0}]}
    pair = [endpoint("a", labels=["x"], **BROKEN), endpoint("b")]
    record = run(at([0, 2], 1.0, *pair, health=health, requests=requests))
    assert ended(record) == (0, 1, 1, 0)
    assert record.wait.count == 1


def test_half_open_means_one_call_at_a_time() -> None:
    """Three wait for a when it becomes half open; the other two are served once the first has succeeded."""
    health = {"consecutive_failures": 1, "cooldown_s": 4.0}
    requests = {"attempts": 1, "kinds": [{"labels": ["x"]}]}
    trial = endpoint("a", capacity=3, labels=["x"], faults=[{"kind": "fail_within", "to_s": 0.5}])
    record = run(at([0, 2, 2, 2], 1.0, trial, endpoint("b"), health=health, requests=requests))
    open_s = 1.0 + first_cooldown_s(4.0)
    starts = [span.started_s for span in sorted(record.spans, key=lambda span: span.task)]
    assert starts == pytest.approx([0.0, open_s, open_s + 1.0, open_s + 1.0])


def test_a_retry_does_not_wait_for_what_is_ejected() -> None:
    """a is ejected at 1; the second request fails on b at 3.5 and goes there again, as a rests for 20 s at least."""
    health = {"consecutive_failures": 1, "cooldown_s": 40.0, "max_ejected_share": 0.5}
    pair = [endpoint("a", **BROKEN), endpoint("b", faults=[{"kind": "fail_within", "to_s": 3.0}])]
    record = run(at([0, 2.5], 1.0, *pair, health=health, requests={"attempts": 2}), "first")
    assert [(task, url) for task, url, *_ in calls(record)] == [(1, "a"), (1, "b"), (2, "b"), (2, "b")]
    assert calls(record)[-1] == (2, "b", 3.5, 4.5, True)


# -- Retry-After ------------------------------------------------------------------------------------

_BUSY = {"capacity": 2, "refuse_beyond": 1, "retry_after_s": 3.0}
_REFUSED_S = 0.505  # who comes at 0.5 is told 5 ms later


def test_an_endpoint_that_asks_for_it_is_left_alone_even_if_it_is_the_only_one() -> None:
    record = run(at([0, 0.5, 1.0], [2, 1, 1], endpoint("a", **_BUSY), health={}, requests=ONCE))
    assert calls(record)[:2] == [(2, "a", 0.5, _REFUSED_S, False), (1, "a", 0, 2, True)]
    third = calls(record)[2]
    assert (third[0], third[2], third[4]) == (3, pytest.approx(_REFUSED_S + 3.0), True)


def test_of_several_the_others_are_used_meanwhile() -> None:
    record = run(at([0, 0.5, 1.0], [2, 1, 1], endpoint("a", **_BUSY), endpoint("b", capacity=9), health={}), "first")
    assert [(task, url, ok) for task, url, _, _, ok in calls(record)] == [
        (2, "a", False),
        (2, "b", True),
        (1, "a", True),
        (3, "b", True),
    ]


def test_a_retry_with_nowhere_else_to_go_leaves_it_alone_for_as_long_without_health() -> None:
    record = run(at([0, 0.5], [2, 1], endpoint("a", **_BUSY)))
    assert calls(record)[-1] == (2, "a", pytest.approx(_REFUSED_S + 3.0), pytest.approx(_REFUSED_S + 4.0), True)
    assert record.wait.most == 0.0  # it does not wait for a slot: there is one


# -- limits and caps --------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("initial", [1, 20])
@pytest.mark.parametrize("policy", ["fifo", "p2c"])
def test_aimd_settles_near_what_an_endpoint_really_takes(policy: str, initial: int) -> None:
    """It takes in five calls and refuses more; it may be sent twenty, and thirty callers never pause.

    The limit swings between half of six and six, so 3 to 6 are out, and a refusal comes once in some 15 calls.
    """
    server = endpoint("a", capacity=20, refuse_beyond=5)
    values: dict[str, Any] = {"requests": ONCE, "horizon_s": 500.0, "warmup_s": 50.0}
    out = Out()
    record = run(
        closed(30, 0.0, 1.0, server, limits={"kind": "aimd", "initial": initial}, **values), policy, observer=out
    )
    assert 3.0 <= record.endpoints[0].busy_s / record.measured_s <= 6.0
    assert record.metrics["failed_calls"] < 0.15
    assert out.most["a"] <= max(initial, 6)
    fixed = run(closed(30, 0.0, 1.0, server, requests=ONCE, horizon_s=10.0), policy)
    assert fixed.metrics["failed_calls"] > 0.9


def test_aimd_shrinks_when_calls_time_out() -> None:
    """Two cores serve two calls a second; with eight at once each takes 4 s, which is too long.

    The limit climbs from 2 to 4 or 5 by one each round, and each fall costs the calls that are out: a third or so.
    """
    values: dict[str, Any] = {
        "hosts": {"h": {"cores": 2}},
        "requests": {"attempts": 1, "call_timeout_s": 2.0},
        "horizon_s": 400.0,
    }
    server = endpoint("a", host="h", capacity=8)
    limited = run(closed(8, 0.0, 1.0, server, limits={"kind": "aimd"}, **values))
    fixed = run(closed(8, 0.0, 1.0, server, **values))
    assert fixed.completed == 0
    assert limited.metrics["failed_calls"] < 0.5
    assert limited.metrics["throughput_per_s"] > 0.5  # of the two that are possible


@pytest.mark.parametrize("policy", NAMES)
def test_a_host_never_has_more_out_than_its_cap(policy: str) -> None:
    out = Out()
    endpoints = [endpoint("http://h:{1..3}/", capacity=3), endpoint("http://free/", capacity=3)]
    record = run(closed(20, 0.25, 1.0, *endpoints, host_caps={"h": 4}), policy, observer=out)
    assert out.most["h"] == 4
    assert out.most["http://free/"] == 3
    # Seven slots that are never idle: a second each. `first` and others may fill them in any order.
    assert record.metrics["throughput_per_s"] == pytest.approx(7.0, rel=0.05)


def test_every_other_host_has_the_cap_of_the_star() -> None:
    out = Out()
    endpoints = [endpoint(f"http://{host}:{{1..3}}/") for host in "ab"]
    run(closed(9, 0.0, 1.0, *endpoints, host_caps={"a": 1, "*": 2}), observer=out)
    assert (out.most["a"], out.most["b"]) == (1, 2)


# -- several slots ----------------------------------------------------------------------------------

_SINGLES_AND_TRIPLES: dict[str, Any] = {
    "workload": {"kind": "poisson", "rate_per_s": 1.0},
    "endpoints": [endpoint("http://a{1..2}/", capacity=4)],
    "requests": {"kinds": [{"name": "single", "share": 9}, {"name": "triple", "slots": 3}]},
    "horizon_s": 2000.0,
}


def test_a_load_counts_slots() -> None:
    """0.9 single slots and 0.1 triple ones make 1.2 slots a request: 8 slots serve 6.67 requests a second."""
    scenario = Scenario.model_validate(_SINGLES_AND_TRIPLES).at_load(0.9)
    assert scenario.workload.rate_per_s == pytest.approx(0.9 * 8 / 1.2)  # type: ignore[union-attr]  # it is Poisson's


def test_slots_are_what_is_in_use() -> None:
    record = run(
        at([0], 4.0, endpoint("a", capacity=4), requests={"kinds": [{"name": "triple", "slots": 3}]}, horizon_s=8.0)
    )
    assert record.endpoints[0].busy_s == 12.0
    assert record.metrics["utilisation"] == 12.0 / 32.0


# -- the retry budget -------------------------------------------------------------------------------


def grants(scenario: Scenario, policy: str = "fifo") -> tuple[Record, list[tuple[float, int]]]:
    """Return what came of it, and the instant and the number of each attempt."""
    seen: list[tuple[float, int]] = []
    return run(scenario, policy, observer=lambda task, lease: seen.append((lease.granted_s, task.attempt))), seen


@pytest.mark.parametrize(("ratio", "per_s"), [(0.2, 1.0), (0.5, 0.0), (0.0, 2.0)])
def test_retries_are_within_the_budget_in_any_window(ratio: float, per_s: float) -> None:
    """Every call fails at once, twenty first attempts come in a second, and retries do not pause."""
    window_s = 10.0
    budget = {"budget_ratio": ratio, "budget_per_s": per_s, "budget_window_s": window_s, "base_s": 0.0}
    hole = endpoint("a", capacity=1000, faults=[{"kind": "fail_within", "after_s": 0.001}])
    count = 2000
    record, seen = grants(at([n / 20 for n in range(count)], 1.0, hole, retries=budget, requests={"attempts": 5}))
    firsts = [at_s for at_s, attempt in seen if attempt == 1]
    retries = [at_s for at_s, attempt in seen if attempt > 1]
    assert len(firsts) == count == record.lost
    for last, at_s in enumerate(retries):
        window = [earlier for earlier in retries[: last + 1] if earlier > at_s - window_s]
        # A first attempt counts from its arrival, 1 ms before its failure may spend what it earned.
        allowed = ratio * sum(at_s - window_s - 0.01 < first <= at_s for first in firsts) + per_s * window_s
        assert len(window) <= allowed + 1e-6
    assert len(retries) > 0.9 * (ratio * count + per_s * 100.0) - per_s * window_s


def test_without_budget_a_call_is_lost_and_not_retried() -> None:
    none = {"budget_ratio": 0.0, "budget_per_s": 0.0}
    record, seen = grants(at([n / 4 for n in range(40)], 0.25, endpoint("a", **BROKEN), retries=none))
    assert Counter(attempt for _, attempt in seen) == {1: 40}
    assert ended(record) == (0, 40, 0, 0)
    plenty = {"budget_ratio": 10.0, "base_s": 0.0}
    _, seen = grants(at([n / 4 for n in range(40)], 0.0625, endpoint("a", **BROKEN), retries=plenty))
    assert Counter(attempt for _, attempt in seen) == {1: 40, 2: 40, 3: 40}


def test_pauses_are_drawn_and_double_up_to_the_longest() -> None:
    """Between nothing and twice their mean: 0.5, 1 and then 1.5 s, for 2 s would be more than max_pause_s allows."""
    pauses = {"budget_ratio": 10.0, "base_s": 0.5, "max_pause_s": 3.0}
    server = endpoint("a", capacity=1000, **BROKEN)
    record = run(at([n / 16 for n in range(400)], 0.25, server, retries=pauses, requests={"attempts": 4}))
    spans = defaultdict(list)
    for span in record.spans:
        spans[span.task].append(span)
    gaps = [[later.started_s - earlier.ended_s for earlier, later in pairwise(own)] for own in spans.values()]
    for drawn, most_s in zip(zip(*gaps, strict=True), (1.0, 2.0, 3.0), strict=True):
        assert 0.0 <= min(drawn) < 0.1 * most_s
        assert 0.9 * most_s < max(drawn) <= most_s
        # Uniform: the deviation of the mean of 400 is most / sqrt(12) / 20, 1.4% of the most.
        assert sum(drawn) / len(drawn) == pytest.approx(most_s / 2, abs=0.06 * most_s)


# -- the baselines ----------------------------------------------------------------------------------

_ALL_RULES: dict[str, Any] = {
    "health": {"consecutive_failures": 2},
    "limits": {"kind": "aimd"},
    "host_caps": {"*": 1},
    "retries": {"budget_ratio": 0.0, "budget_per_s": 0.0},
}


@pytest.mark.parametrize("workload", ["open", "closed", "batch"])
@pytest.mark.parametrize("policy", ALL)
def test_what_the_pool_replaces_has_no_rules(policy: str, workload: str) -> None:
    flaky = endpoint("http://h:{1..3}/", capacity=2, faults=[{"kind": "fail_within", "probability": 0.3}])
    make: dict[str, Callable[..., Scenario]] = {
        "open": lambda **v: at([n / 4 for n in range(200)], 1.0, flaky, **v),
        "closed": lambda **v: closed(5, 0.25, 1.0, flaky, **v),
        "batch": lambda **v: batch([{"name": "one", "tasks": 60, "workers": 4}], flaky, **v),
    }
    hedging = {"requests": {"hedge_after_s": 0.5}}
    plain, ruled = (bytes_of(run(make[workload](**v), policy)) for v in ({}, {**_ALL_RULES, **hedging}))
    assert (plain == ruled) == (policy in BASELINES)


# -- whatever the rules -----------------------------------------------------------------------------

_health = st.none() | st.fixed_dictionaries(
    {
        "consecutive_failures": st.integers(0, 2),
        "cooldown_s": st.sampled_from([0.5, 2.0]),
        "max_cooldown_s": st.just(4.0),
        "slow_start_s": st.sampled_from([0.0, 1.0]),
        "max_ejected_share": st.sampled_from([0.0, 0.5, 1.0]),
        "panic_share": st.sampled_from([0.0, 0.5]),
        "interval_s": st.just(1.0),
        "min_hosts": st.just(2),
        "failure_volume": st.just(2),
    }
)
_limits = st.none() | st.fixed_dictionaries({"kind": st.just("aimd"), "initial": st.integers(1, 4)})
_retries = st.none() | st.fixed_dictionaries(
    {"budget_ratio": st.sampled_from([0.0, 0.2, 2.0]), "budget_per_s": st.sampled_from([0.0, 1.0])}
)
_LONG_S = 1000.0


@st.composite
def _scenarios(draw: st.DrawFn) -> Scenario:
    """Draw all that a scenario may have, with or without rules."""
    values = draw(drawn_values())
    requests = values["requests"]
    for model in values["endpoints"]:
        model["capacity"] += 1  # room for a request of two slots
        if draw(st.booleans()):
            model |= {"refuse_beyond": draw(st.integers(1, 2)), "retry_after_s": 1.25}
    for kind in requests["kinds"]:
        kind["slots"] = draw(st.sampled_from([1, 1, 2]))
    requests["hedge_after_s"] = draw(st.sampled_from([None, 0.125, 0.25]))
    retries = draw(_retries)
    rules = {
        "health": draw(_health),
        "limits": draw(_limits),
        "retries": retries,
        "host_caps": draw(st.sampled_from([{}, {"*": 2}, {"*": 3}])),
    }
    horizon_s = draw(st.sampled_from([_LONG_S, _LONG_S, 4.5]))
    works = st.sampled_from([0.25, 0.5, 2.0])
    instants = st.integers(0, 40).map(lambda n: n / 8)
    arrivals = draw(st.lists(st.tuples(instants, works), min_size=1, max_size=25).map(sorted))
    at_s, work_s = zip(*arrivals, strict=True)
    return at(at_s, work_s, warmup_s=draw(st.sampled_from([0.0, 0.0, 3.0])), horizon_s=horizon_s,
              **{**begun(values, horizon_s), **rules})  # fmt: skip


@pytest.mark.sampled(1)
@pytest.mark.parametrize("policy", few_first(ALL))
@settings(max_examples=200)
@given(scenario=_scenarios())
def test_every_request_ends_once_and_nothing_is_exceeded(policy: str, scenario: Scenario) -> None:
    out = Out()
    record = run(scenario, policy, observer=out)
    instants = scenario.workload.at_s  # type: ignore[union-attr]  # it is that of recorded arrivals
    counted = sum(scenario.warmup_s <= at_s < scenario.horizon_s for at_s in instants)
    assert record.arrived == counted == sum(ended(record))
    if scenario.horizon_s == _LONG_S:
        assert record.unfinished == 0, "somebody waits for ever"
        assert not out.now()
    succeeded = Counter(span.task for span in record.spans if span.ok)
    assert set(succeeded.values()) <= {1}
    for url, model in scenario.by_url.items():
        assert out.most[url] <= scenario.most_leases[url] >= model.capacity
    if "*" in scenario.host_caps and policy not in BASELINES:
        assert all(most <= scenario.host_caps["*"] for most in out.most.values())
    if scenario.requests.hedge_after_s is None:
        check_calls(scenario, record)
    if not scenario.warmup_s:
        assert len(succeeded) == record.completed == record.sojourn.count
        assert out.grants == record.metrics["calls"] >= record.wait.count
        if scenario.requests.hedge_after_s is None and scenario.retries is None:  # without a budget all are tried
            check_counts(scenario, record)
