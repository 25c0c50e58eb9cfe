"""What is fitted to a trace of a scenario that is known is that scenario; what a trace does not tell is said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from balancer_simulator import (
    Closed,
    EndpointModel,
    Exponential,
    Host,
    Lognormal,
    Poisson,
    Policy,
    Requests,
    Scenario,
    load_scenario,
    simulate_once,
)
from balancer_simulator.fitting.callers import caller_pattern_of
from balancer_simulator.fitting.calls import prepare_trace, until
from balancer_simulator.fitting.description import as_toml, fit_lines, unknown
from balancer_simulator.fitting.faults import rate_of
from balancer_simulator.fitting.fit import Fit, fit_trace
from balancer_simulator.fitting.members import NO_LIMIT
from balancer_simulator.fitting.survival import beyond, quantile_means
from balancer_simulator.scenario.distributions import Distribution, Empirical
from balancer_simulator.scenario.endpoints import FailWithin
from balancer_simulator.scenario.workload import Kind

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Happening, Trace
from tests.simulation.made_traces import made_trace


def _scenario(*endpoints: EndpointModel, workers: int = 12, calls: int = 500, **values: object) -> Scenario:
    workload = {"kind": "closed", "workers": workers, "calls": calls}
    fields = {"workload": workload, "horizon_s": 1e5, "health": None, "requests": Requests(attempts=1), **values}
    return Scenario.model_validate({"endpoints": list(endpoints), **fields})


def _fitted(*endpoints: EndpointModel, **values: Any) -> Fit:
    return fit_trace(made_trace(_scenario(*endpoints, **values)))


def _short(mean_s: float, cv: float = 0.4) -> Distribution:
    return Lognormal(mean_s=mean_s, cv=cv)


_FREE = EndpointModel(url="http://free/", capacity=3, service=_short(0.05))
_LINES = EndpointModel(url="http://lines/", capacity=4, parallel=2, service=_short(0.08))


def _mean_s(fit: Fit, name: str, kind: int = 0) -> float:
    return float(fit.times.of[name][kind].mean())


# -- times of which some are only known to be longer --------------------------------------------------


def test_times_that_are_open_count_as_longer_and_leaving_them_out_would_not_do():
    rng = np.random.default_rng(1)
    truth, cut_s = rng.exponential(1.0, 4000), rng.exponential(1.0, 4000)
    open_ = cut_s < truth
    seen = np.minimum(truth, cut_s)
    # Of an exponential time that is cut by another one the part that is seen to end has half the mean.
    assert seen[~open_].mean() == pytest.approx(0.5, abs=0.05)
    found = quantile_means(seen, open_, 200)
    assert len(found) == 200
    assert (np.diff(found) >= 0).all()
    # About 2000 ends, the later ones ever fewer: a standard error of 3 to 4%.
    assert found.mean() == pytest.approx(1.0, abs=0.12)
    assert np.quantile(found, 0.5) == pytest.approx(np.log(2), abs=0.06)


def test_what_is_beyond_the_longest_that_ended_has_a_tail_and_is_told():
    seen = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 5.0])
    open_ = np.array([False, False, False, False, True, True])
    assert beyond(seen, open_) == pytest.approx(1 / 3)
    assert quantile_means(seen, open_, 12)[-1] > 5.0
    assert beyond(seen, np.zeros(6, dtype=np.bool_)) == 0.0


def test_times_none_of_which_ended_are_refused():
    with pytest.raises(ValueError, match="none has ended"):
        quantile_means(np.array([1.0]), np.array([True]), 5)


# -- what a server does with several at once -----------------------------------------------------------


def test_servers_of_each_behaviour_are_found_with_their_times():
    fit = _fitted(_FREE, _LINES, workload=Closed(workers=7, calls=700))
    assert fit.endpoints["http://free/"].tried.behaviour.name == "free"
    assert fit.endpoints["http://lines/"].tried.behaviour.count == 2
    for name, mean_s in (("http://free/", 0.05), ("http://lines/", 0.08)):
        error = 0.4 * mean_s / np.sqrt(len(fit.endpoints[name].sound))
        assert _mean_s(fit, name) == pytest.approx(mean_s, abs=4 * error)
    assert {each.url: each.parallel for each in fit.scenario().endpoints} == {"http://free/": None, "http://lines/": 2}


def test_ports_that_share_the_cores_of_a_host_are_found_together():
    ports = [EndpointModel(url=f"http://h:{n}/", capacity=2, host="h", service=_short(0.05, 0.2)) for n in (1, 2)]
    fit = _fitted(*ports, hosts={"h": Host(cores=1.0)}, workload=Closed(workers=4, calls=600, think=_short(0.2)))
    assert fit.cores == {"h": 1}
    assert _mean_s(fit, "http://h:1/") == pytest.approx(0.05, rel=0.1)
    assert fit.scenario().hosts["h"].cores == 1


def test_what_never_had_several_at_once_cannot_be_known():
    fit = _fitted(_LINES.model_copy(update={"capacity": 6}), workload=Closed(workers=1, calls=40))
    assert fit.endpoints["http://lines/"].tried.behaviour.name == "free"
    assert any("more than 1 at once" in line for line in unknown(fit))


def test_what_the_server_tells_of_its_time_sets_the_network_apart():
    trace = made_trace(_scenario(_FREE, calls=200))
    told = [replace(each, server_s=each.held_s * 0.75) for each in trace.attempts]
    fit = fit_trace(replace(trace, attempts=told))
    (endpoint,) = fit.scenario().endpoints
    assert isinstance(endpoint.network, Empirical)
    whole = np.mean([each.held_s for each in trace.attempts])
    assert endpoint.network.mean_s == pytest.approx(0.25 * whole, rel=0.02)
    assert _mean_s(fit, "http://free/") == pytest.approx(0.75 * whole, rel=0.02)


# -- few calls, kinds ---------------------------------------------------------------------------------


def test_an_endpoint_with_few_calls_is_taken_for_one_like_the_others():
    twins = [EndpointModel(url=f"http://e{n}/", capacity=2, service=_short(0.05)) for n in range(3)]
    trace = made_trace(_scenario(*twins))
    rare = [each for each in trace.attempts if each.endpoint == "http://e2/"][:3]
    rest = [each for each in trace.attempts if each.endpoint != "http://e2/"]
    slow = [replace(each, ended_s=each.granted_s + 0.09) for each in rare]
    fit = fit_trace(replace(trace, attempts=[*rest, *slow]))
    assert 0.05 * 0.9 < _mean_s(fit, "http://e2/") < 0.075  # its own three calls say 0.09
    assert fit.times.own["http://e2/"][0] < 0.1
    assert any("http://e2/: its own times: only 3 of its calls" in line for line in unknown(fit))


def test_an_endpoint_without_calls_is_like_the_others_and_that_is_said():
    trace = made_trace(_scenario(_FREE, calls=100))
    trace.runs[0]["endpoints"].append({"name": "http://new/", "capacity": 5, "weight": 2.0, "labels": ["big"]})
    fit = fit_trace(trace)
    assert _mean_s(fit, "http://new/") == pytest.approx(_mean_s(fit, "http://free/"))
    new = fit.scenario().endpoints[1]
    assert (new.capacity, new.weight, new.labels) == (5, 2.0, ["big"])
    assert any("http://new/: everything" in line for line in unknown(fit))


def test_kinds_have_times_of_their_own_at_each_endpoint_and_a_run_of_the_fit_has_them():
    kinds = [Kind(name="short", share=3.0), Kind(name="long")]
    fast = {"short": _short(0.02), "long": _short(0.2)}
    slow = {"short": _short(0.04), "long": _short(0.6)}
    endpoints = [
        EndpointModel(url=f"http://{name}/", capacity=3, services=own) for name, own in (("fast", fast), ("slow", slow))
    ]
    truth = _scenario(*endpoints, calls=800, requests=Requests(attempts=1, kinds=kinds))
    fit = fit_trace(made_trace(truth))
    assert fit.prepared.kinds == ("long", "short")
    fitted = fit.scenario()
    again = simulate_once(fitted, Policy(strategy="least_in_flight"), spans=10_000)
    for url, own in (("http://fast/", fast), ("http://slow/", slow)):
        for kind, service in own.items():
            times = [s.ended_s - s.started_s for s in again.spans if (s.url, s.kind) == (url, kind)]
            assert np.mean(times) == pytest.approx(service.mean_s, rel=0.25), (url, kind)
    assert {kind.name: kind.share / 800 for kind in fitted.requests.kinds}["short"] == pytest.approx(0.75, abs=0.05)


def test_an_endpoint_that_is_given_large_tasks_is_not_taken_for_slow():
    rng = np.random.default_rng(5)
    attempts, clocks = [], dict.fromkeys(("http://big/", "http://small/", "http://slow/"), 0.0)
    for number in range(450):
        name = tuple(clocks)[number % 3]
        size = float(rng.lognormal(2.0 if name == "http://big/" else 0.0, 0.7))
        takes_s = 0.05 * size**0.8 * (2.0 if name == "http://slow/" else 1.0) * float(rng.lognormal(0.0, 0.2))
        began_s = clocks[name]
        clocks[name] += takes_s
        open_ = takes_s > 0.6  # the callers' patience: the largest are cut
        ended_s = began_s + min(takes_s, 0.6)
        outcome = None if open_ else "success"
        attempts.append(Attempt("r", number, began_s, began_s, ended_s, name, size=size, open=open_, outcome=outcome))
    fit = fit_trace(Trace(attempts=attempts))
    assert fit.sizes is not None
    assert fit.sizes.exponent == pytest.approx(0.8, abs=4 * fit.sizes.error)
    assert fit.sizes.error < 0.03
    speeds = fit.sizes.speeds
    assert speeds["http://big/"] == pytest.approx(speeds["http://small/"], rel=0.12)
    assert speeds["http://slow/"] == pytest.approx(speeds["http://small/"] / 2, rel=0.12)
    assert fit.times.factor["http://big/"] > 2.0  # what it looks like without sizes
    fitted = fit.scenario()
    assert [each.service for each in fitted.endpoints] == [None, None, None]
    assert {each.url: each.speed for each in fitted.endpoints} == pytest.approx(speeds, rel=1e-4)
    assert any("twice the size takes 1.7" in line for line in fit_lines(fit))


def test_sizes_that_say_nothing_are_left_out():
    trace = made_trace(_scenario(_FREE, calls=200))
    sizes = np.random.default_rng(3).lognormal(size=200)
    told = [replace(each, size=float(size)) for each, size in zip(trace.attempts, sizes, strict=True)]
    fit = fit_trace(replace(trace, attempts=told))
    assert fit.sizes is None
    assert any("how time grows" in line for line in unknown(fit))


def test_times_of_a_kind_that_there_is_not_are_refused():
    with pytest.raises(ValueError, match=r"services: requests.kinds has no 'short'; there are all"):
        _scenario(EndpointModel(url="http://a/", services={"short": _short(1.0)}))


# -- what goes wrong ----------------------------------------------------------------------------------


def test_a_spell_of_failures_is_an_outage_and_single_ones_are_not():
    down = _FREE.model_copy(update={"faults": [FailWithin(from_s=2.0, to_s=2.5, after_s=0.01)]})
    troubles = _fitted(down, _LINES, workers=6, calls=900).endpoints["http://free/"].troubles
    (spell,) = troubles.outages
    assert (spell.from_s, spell.to_s, spell.over) == (pytest.approx(2.0, abs=0.2), pytest.approx(2.5, abs=0.2), True)
    assert troubles.quick_part == 0.0
    flaky = _FREE.model_copy(update={"faults": [FailWithin(probability=0.1)]})
    fit = _fitted(flaky, calls=800)
    found = fit.endpoints["http://free/"].troubles
    assert found.outages == ()
    assert found.slow_part == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 800))
    assert fit.scenario().endpoints[0].faults == [FailWithin(probability=found.slow_part)]


def test_an_outage_that_is_not_over_goes_on_for_as_long_as_is_likely_by_when_it_was_last_seen():
    down = _FREE.model_copy(update={"faults": [FailWithin(from_s=1.0, after_s=0.01)]})
    trace = until(made_trace(_scenario(down, _LINES, workers=6, calls=900)), 2.0)
    fit = fit_trace(trace)
    (spell,) = fit.endpoints["http://free/"].troubles.outages
    assert not spell.over
    assert spell.to_s == pytest.approx(2.0, abs=0.05)

    def left_s(fit: Fit) -> float:
        drawn = [fit.scenario(draw=np.random.default_rng(seed), ongoing=True).endpoints[0].faults for seed in range(80)]
        return float(np.mean([faults[0].to_s if faults else 0.0 for faults in drawn]))

    assert left_s(fit) == pytest.approx(1.0, rel=0.4)
    # A pool that takes it out does not see it fail any more: the longer ago that was, the likelier it is over.
    lately = [each for each in trace.attempts if each.endpoint != "http://free/" or each.granted_s < 1.2]
    assert left_s(fit_trace(replace(trace, attempts=lately))) < 0.05


def test_how_often_outages_come_has_a_prior_where_none_was_seen():
    assert rate_of(0, 100.0) == pytest.approx(0.005)
    drawn = [rate_of(2, 100.0, np.random.default_rng(n)) for n in range(400)]
    assert np.mean(drawn) == pytest.approx(0.025, rel=0.15)
    assert np.std(drawn) == pytest.approx(0.025 / np.sqrt(2.5), rel=0.2)


def test_callers_patience_is_found_and_such_calls_count_as_longer():
    slow = EndpointModel(url="http://a/", capacity=8, service=Exponential(mean_s=0.1))
    fit = _fitted(slow, calls=1500, requests=Requests(attempts=1, call_timeout_s=0.2))
    assert fit.prepared.timeout_s == pytest.approx(0.2)
    assert fit.scenario().requests.call_timeout_s == pytest.approx(0.2)
    ended = [each.held_s for each in fit.prepared.attempts if each.outcome == "success"]
    assert np.mean(ended) < 0.075
    assert _mean_s(fit, "http://a/") == pytest.approx(0.1, rel=0.12)


# -- who asks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_callers_who_wait_are_counted(named):
    assert caller_pattern_of(made_trace(_scenario(_FREE, workers=9), named=named).attempts).callers == 9


def test_callers_pauses_are_known_where_calls_say_whose_they_are():
    scenario = _scenario(_FREE, workload=Closed(workers=6, calls=600, think=Exponential(mean_s=0.07)))
    found = caller_pattern_of(made_trace(scenario).attempts)
    assert found.callers == 6
    assert found.thinks_s.mean() == pytest.approx(0.07, abs=4 * 0.07 / np.sqrt(600))


def test_pauses_that_are_cut_count_as_longer_and_those_who_wait_are_not_taken_to_pause():
    scenario = _scenario(
        _FREE.model_copy(update={"capacity": 50}),
        workload=Closed(workers=40, calls=2000, think=Exponential(mean_s=0.5)),
    )
    found = [
        caller_pattern_of(prepare_trace(until(made_trace(scenario, replication=n), 2.2)).attempts) for n in range(6)
    ]
    ended = np.concatenate([each.thinks_s[~each.thinks_open] for each in found])
    assert ended.mean() < 0.43  # the pause in which the trace ends is likely to be a long one
    assert np.mean([each.pauses_s(200).mean() for each in found]) == pytest.approx(0.5, rel=0.1)
    busy = until(made_trace(_scenario(_FREE, workers=40, calls=2000)), 3.0)
    assert caller_pattern_of(prepare_trace(busy).attempts).pauses_s(200).mean() < 0.002


def test_the_mean_of_pauses_stays_what_it_was_whatever_their_number():
    fit = _fitted(_FREE, workload=Closed(workers=3, calls=273, think=Exponential(mean_s=0.5)))
    assert np.mean(fit.workload()["think"]["values_s"]) == pytest.approx(fit.caller_pattern.thinks_s.mean(), rel=0.02)


@pytest.mark.parametrize("pause", [{"kind": "exponential"}, {"kind": "deterministic"}])
def test_callers_who_pause_are_counted_without_names(pause):
    think = {**pause, "mean_s": 0.05}
    scenario = _scenario(_FREE, workers=9)
    asked = scenario.workload.model_dump() | {"think": think, "calls": 1500}
    found = caller_pattern_of(made_trace(scenario.changed(workload=asked), named=False).attempts)
    assert found.callers is not None
    assert abs(found.callers - 9) <= (pause["kind"] != "exponential")
    assert found.pauses_s(200).mean() == pytest.approx(0.05, rel=0.1 if found.callers == 9 else 0.5)


@pytest.mark.parametrize("gaps", ["random", "even", "in batches"])
def test_calls_that_come_whatever_happens_are_not_taken_for_callers_who_pause(gaps):
    rng = np.random.default_rng(3)
    apart_s = {"random": rng.exponential(0.05, 1500), "even": np.full(1500, 0.05)}.get(
        gaps, np.tile([0.5, *[0.0] * 9], 150)
    )
    at_s, held_s = np.cumsum(apart_s), rng.lognormal(-2.3, 0.5, 1500)
    calls = [Attempt("r", 0, at, at, at + held, "a", outcome="success") for at, held in zip(at_s, held_s, strict=True)]
    assert caller_pattern_of(calls).callers is None


# -- the trace, the file ------------------------------------------------------------------------------


def test_two_runs_are_laid_one_after_the_other():
    first = made_trace(_scenario(_FREE, calls=80))
    second = [replace(each, run="again", asked_s=each.asked_s + 1e6, granted_s=each.granted_s + 1e6,
                      ended_s=each.ended_s + 1e6) for each in first.attempts]  # fmt: skip
    prepared = prepare_trace(replace(first, attempts=[*first.attempts, *second]))
    assert prepared.lasts_s == pytest.approx(2 * max(each.ended_s for each in first.attempts) + 1.0)
    assert caller_pattern_of(prepared.attempts).callers == 12


def test_endpoints_come_and_go_by_the_events_of_the_trace():
    trace = made_trace(_scenario(_FREE, _LINES, calls=200))
    trace.events = [
        Happening("made", 1.0, "capacity", "http://free/", 9.0),
        Happening("made", 1.0, "left", "http://lines/"),
        Happening("made", 1.5, "strategy", name="fifo"),
        Happening("made", 1.0, "joined", "http://new/", 2.0, "n"),
    ]
    fitted = fit_trace(trace).scenario()
    assert {each.url: each.capacity for each in fitted.endpoints} == {"http://free/": 9, "http://new/": 2}
    assert [each.strategy for each in fitted.policies] == ["fifo"]


def test_names_that_are_no_urls_and_capacities_that_nobody_tells_will_do():
    trace = made_trace(_scenario(_FREE, calls=100))
    imported = Trace(attempts=[replace(each, endpoint="web/app 1", host=None) for each in trace.attempts])
    fit = fit_trace(imported)
    (endpoint,) = fit.scenario().endpoints
    assert endpoint.url.startswith("http://")
    assert endpoint.capacity == 3  # twelve callers wait for it
    assert any("its address" in line for line in unknown(fit))


@pytest.mark.parametrize("attempts", [[], [Attempt("r", 1, 0.0, 0.0, 1.0, "http://a/", open=True)]])
def test_a_trace_that_tells_nothing_is_refused_in_one_line(attempts):
    with pytest.raises(ConfigError, match="the trace cannot be fitted: "):
        fit_trace(Trace(attempts=attempts))


def test_what_is_written_is_the_scenario(tmp_path):
    down = _FREE.model_copy(update={"faults": [FailWithin(from_s=0.3, to_s=0.8, after_s=0.001)], "labels": ["a b"]})
    fit = _fitted(down, _LINES, calls=300)
    path = tmp_path / "fitted.toml"
    path.write_text(as_toml(fit.data(name='the "name"'), fit_lines(fit)), encoding="utf-8")
    assert load_scenario(path) == fit.scenario(name='the "name"')


def test_the_same_draw_gives_the_same_fit_and_another_one_another():
    fit = _fitted(_FREE, _LINES, calls=200)
    drawn = [fit.scenario(draw=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def _alone(workers: int, calls: int, mean_s: float) -> Trace:
    """Return the trace of callers at one endpoint that has a slot for each."""
    endpoint = EndpointModel(url="http://a/", capacity=workers, service=_short(mean_s, 0.5))
    return made_trace(_scenario(endpoint, workers=workers, calls=calls), named=False)


def test_callers_are_known_in_a_log_that_rounds_to_milliseconds():
    late = [
        replace(
            each,
            ended_s=round(each.ended_s + 0.0005, 3),
            asked_s=round(each.asked_s, 3),
            granted_s=round(each.granted_s, 3),
        )
        for each in _alone(8, 400, 0.2).attempts
    ]
    assert caller_pattern_of(late).callers == 8


def test_calls_that_follow_each_other_in_a_rounded_log_are_not_there_at_once():
    log = [
        Attempt("imported", n, 0.05 * n, 0.05 * n, round(0.05 * n + 0.05 + 0.001 * (n % 2), 3), "a", outcome="success")
        for n in range(60)
    ]
    assert fit_trace(Trace(attempts=log)).members[0].seen == 1
    finer = [replace(each, ended_s=each.ended_s + 0.0001) for each in log]
    assert fit_trace(Trace(attempts=finer)).members[0].seen == 2


def _imported(trace: Trace, *, late: float = 0.0) -> Trace:
    """Return the calls without the facts of the pool; a share of the ends is noted 0.3 s too late."""
    rng = np.random.default_rng(1)
    attempts = [
        replace(each, ended_s=each.ended_s + (0.3 if rng.random() < late else 0.0), host=None)
        for each in trace.attempts
    ]
    return Trace(attempts=attempts)


def test_the_capacity_is_what_is_in_use_after_a_wait_and_not_the_most_seen():
    scenario = _scenario(_FREE.model_copy(update={"capacity": 4}), workload=Poisson(rate_per_s=70.0), horizon_s=30.0)
    fit = fit_trace(_imported(made_trace(scenario), late=0.001))
    (member,) = fit.members
    assert member.seen > 4
    assert (member.capacity, member.source) == (4, "waits")
    assert fit.scenario().endpoints[0].seen_at_once == 4
    assert any("capacity 4: as many were in use after most of" in line for line in fit_lines(fit))


def test_where_nothing_waited_there_is_no_limit_and_that_is_said():
    scenario = _scenario(_FREE.model_copy(update={"capacity": 90}), workload=Poisson(rate_per_s=70.0), horizon_s=30.0)
    fit = fit_trace(_imported(made_trace(scenario)))
    assert fit.members[0].capacity == NO_LIMIT
    assert any("its capacity: no call waited for it; assumed to be without limit" in line for line in unknown(fit))
    again = simulate_once(fit.scenario(), fit.policy)
    assert again.metrics["wait_mean_s"] == 0.0


@pytest.mark.parametrize(("strategy", "taken"), [("round_robin", "round_robin"), ("random", "least_in_flight")])
def test_the_strategy_of_a_log_is_round_robin_if_its_endpoints_take_turns(strategy, taken):
    pool = [_FREE.model_copy(update={"url": f"http://{name}/", "capacity": 90}) for name in "abc"]
    scenario = _scenario(*pool, workload=Poisson(rate_per_s=70.0), horizon_s=10.0)
    fit = fit_trace(_imported(made_trace(scenario, strategy)))
    assert fit.strategy is None
    assert fit.policy.strategy == taken
    assert any(line.startswith("the strategy: ") and taken in line for line in unknown(fit))


def test_where_few_waited_the_most_seen_at_once_is_the_capacity_and_more_load_brings_waits():
    scenario = _scenario(_FREE.model_copy(update={"capacity": 90}), workload=Poisson(rate_per_s=70.0), horizon_s=30.0)
    calls = sorted(_imported(made_trace(scenario)).attempts, key=lambda each: each.granted_s)
    calls[500:503] = [replace(each, asked_s=each.asked_s - 0.2) for each in calls[500:503]]
    fit = fit_trace(Trace(attempts=calls))
    (member,) = fit.members
    assert (member.capacity, member.source) == (member.seen, "seen")
    assert any("only 3 calls waited for it; assumed to be" in line for line in unknown(fit))
    double = fit.scenario().changed(workload=Poisson(rate_per_s=140.0), horizon_s=60.0)
    assert simulate_once(double, fit.policy).metrics["wait_mean_s"] > 0


def test_waits_for_something_else_tell_no_capacity():
    scenario = _scenario(_FREE.model_copy(update={"capacity": 90}), workload=Poisson(rate_per_s=70.0), horizon_s=30.0)
    rng = np.random.default_rng(2)
    slow_clients = [
        replace(each, asked_s=each.asked_s - rng.exponential(0.05)) for each in made_trace(scenario).attempts
    ]
    fit = fit_trace(Trace(attempts=slow_clients))
    assert fit.members[0].capacity == NO_LIMIT
    assert any("its capacity: its waits do not show one" in line for line in unknown(fit))


def test_a_network_of_the_rounding_of_clocks_is_left_out():
    trace = made_trace(_scenario(_FREE, calls=200))
    fit = fit_trace(replace(trace, attempts=[replace(each, server_s=each.held_s - 1e-6) for each in trace.attempts]))
    assert fit.scenario().endpoints[0].network is None
    whole = np.mean([each.held_s for each in trace.attempts])
    assert _mean_s(fit, "http://free/") == pytest.approx(whole, rel=1e-3)


# -- values that no scenario may have -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("capacity", value) for value in (-1, 0, 1_000_000, 1_000_001, 10**30, None)),
        *(("weight", value) for value in (-1.0, 0.0, 5e-324, 1e308, float("inf"), float("nan"), None)),
        *(("name", value) for value in ("", " ", "a\n", "http://u:p@a/?k=v", "http://[::1", "x" * 300)),
        *(("host", value) for value in ("", " ", "a\n", "http://free/")),
        ("labels", ["", "a\n"]),
    ],
)
def test_what_a_trace_has_and_no_scenario_may_have_is_a_line(key, value):
    made = made_trace(_scenario(_FREE, _LINES, calls=20))
    first, *others = made.runs[0]["endpoints"]
    attempts = made.attempts
    if key == "name":
        attempts = [replace(each, endpoint=value) if each.endpoint == first["name"] else each for each in attempts]
    trace = replace(made, runs=[{**made.runs[0], "endpoints": [{**first, key: value}, *others]}], attempts=attempts)
    try:
        fit_trace(trace).scenario()
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017  # either it works, or it is this
    else:
        assert (key, value) not in [("capacity", 1_000_001), ("capacity", 10**30)]
