"""Health, limits, caps, slots and the retry budget in the simulator: the core's own, at the instants they are due."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from balancer_simulator import Scenario
from balancer_simulator.run.disciplines import BASELINES
from balancer_simulator.world.task import Task
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.endpoint import Lease
from tests.registered import few_first
from tests.simulation.scenarios import ALL, at, batch, calls, closed, ended, endpoint, run, spans
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


# -- Retry-After ------------------------------------------------------------------------------------

_BUSY = {"capacity": 2, "refuse_beyond": 1, "retry_after_s": 3.0}
_REFUSED_S = 0.505  # who comes at 0.5 is told 5 ms later


def test_a_retry_with_nowhere_else_to_go_leaves_it_alone_for_as_long_without_health():
    record = run(at([0, 0.5], [2, 1], endpoint("a", **_BUSY)))
    assert calls(record)[-1] == (2, "a", pytest.approx(_REFUSED_S + 3.0), pytest.approx(_REFUSED_S + 4.0), True)
    assert record.wait.most == 0.0  # it does not wait for a slot: there is one


# -- several slots ----------------------------------------------------------------------------------

_SINGLES_AND_TRIPLES: dict[str, Any] = {
    "workload": {"kind": "poisson", "rate_per_s": 1.0},
    "endpoints": [endpoint("http://a{1..2}/", capacity=4)],
    "requests": {"kinds": [{"name": "single", "share": 9}, {"name": "triple", "slots": 3}]},
    "horizon_s": 2000.0,
}


def test_a_load_counts_slots():
    """0.9 single slots and 0.1 triple ones make 1.2 slots a request: 8 slots serve 6.67 requests a second."""
    scenario = Scenario.model_validate(_SINGLES_AND_TRIPLES).at_load(0.9)
    assert scenario.workload.rate_per_s == pytest.approx(0.9 * 8 / 1.2)  # it is Poisson's


def test_slots_are_what_is_in_use():
    record = run(
        at([0], 4.0, endpoint("a", capacity=4), requests={"kinds": [{"name": "triple", "slots": 3}]}, horizon_s=8.0)
    )
    assert record.by_endpoint[0].busy_s == 12.0
    assert record.metrics["utilisation"] == 12.0 / 32.0


# -- the baselines ----------------------------------------------------------------------------------

_ALL_RULES: dict[str, Any] = {
    "health": {"consecutive_failures": 2},
    "limits": {"kind": "aimd"},
    "host_caps": {"*": 1},
    "retries": {"budget_ratio": 0.0, "budget_per_s": 0.0},
}


@pytest.mark.parametrize("workload", ["open", "closed", "batch"])
@pytest.mark.parametrize("policy", ALL)
def test_what_the_pool_replaces_has_no_rules(policy, workload):
    flaky = endpoint("http://h:{1..3}/", capacity=2, faults=[{"kind": "fail_within", "probability": 0.3}])
    make: dict[str, Callable[..., Scenario]] = {
        "open": lambda **v: at([n / 4 for n in range(200)], 1.0, flaky, **v),
        "closed": lambda **v: closed(5, 0.25, 1.0, flaky, **v),
        "batch": lambda **v: batch([{"name": "one", "tasks": 60, "workers": 4}], flaky, **v),
    }
    hedging = {"requests": {"hedge_after_s": 0.5, "kinds": [{"slots": 2}]}}
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
def test_every_request_ends_once_and_nothing_is_exceeded(policy, scenario):
    out = Out()
    record = run(scenario, policy, observer=out)
    instants = scenario.workload.at_s  # it is that of recorded arrivals
    counted = sum(scenario.warmup_s <= at_s < scenario.horizon_s for at_s in instants)
    assert record.arrived == counted == sum(ended(record))
    if scenario.horizon_s == _LONG_S:
        assert record.unfinished == 0, "somebody waits for ever"
        assert not out.now()
    succeeded = Counter(span.task for span in spans(record) if span.ok)
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
