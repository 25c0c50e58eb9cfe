"""What is fitted to a trace of a scenario that is known is that scenario; what a trace does not tell is said."""

from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import EndpointModel, Exponential, Lognormal, Scenario, load_scenario, simulate_once
from balancer_simulator.fitting.callers import caller_pattern_of
from balancer_simulator.fitting.calls import prepare_trace, until
from balancer_simulator.fitting.description import as_toml, fit_lines, unknown
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.fitting.members import NO_LIMIT
from balancer_simulator.fitting.survival import quantile_means

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Happening, Trace
from tests.simulation.made_traces import imported, made_trace


def scenario(*endpoints, workers=12, calls=500, pause=None, **values):
    think = {"think": pause} if pause else {}
    fields = {"workload": {"kind": "closed", "workers": workers, "calls": calls, **think}, "horizon_s": 1e5}
    return Scenario.model_validate(
        {**fields, "endpoints": list(endpoints) or [FREE], "health": None, "requests": {"attempts": 1}, **values}
    )


def fitted(*endpoints, **values):
    return fit_trace(made_trace(scenario(*endpoints, **values)))


def opened(*endpoints, strategy="least_in_flight", horizon_s=30.0):
    """Return the log of a proxy whose calls come at random."""
    asked = {"kind": "poisson", "rate_per_s": 70.0}
    return imported(made_trace(scenario(*endpoints, workload=asked, horizon_s=horizon_s), strategy))


def short(mean_s, cv=0.4):
    return Lognormal(mean_s=mean_s, cv=cv)


def says(fit, *words):
    lines = [*fit_lines(fit)]
    return all(any(each in line for line in lines) for each in words)


FREE = EndpointModel(url="http://free/", capacity=3, service=short(0.05))
LINES = EndpointModel(url="http://lines/", capacity=4, parallel=2, service=short(0.08))
WIDE = FREE.model_copy(update={"capacity": 90})


def mean_s(fit, name="http://free/", kind=0):
    return float(fit.times[name][kind].mean())


# -- times --------------------------------------------------------------------------------------------


def test_times_that_are_open_count_as_longer_and_have_a_tail():
    rng = np.random.default_rng(1)
    truth, cut_s = rng.exponential(1.0, 4000), rng.exponential(1.0, 4000)
    open_, seen = cut_s < truth, np.minimum(truth, cut_s)
    # Of an exponential time that is cut by another one the part that is seen to end has half the mean.
    assert seen[~open_].mean() == pytest.approx(0.5, abs=0.05)
    found = quantile_means(seen, open_, 200)
    assert (np.diff(found) >= 0).all()
    # About 2000 ends, the later ones ever fewer: a standard error of 3 to 4%.
    assert (found.mean(), np.quantile(found, 0.5)) == pytest.approx((1.0, np.log(2)), abs=0.12)
    for attempts in ([], [Attempt("r", 1, 0.0, 0.0, 1.0, "http://a/", open=True)]):
        with pytest.raises(ConfigError, match=r"the trace cannot be fitted: .*(no calls|no call has ended)"):
            fit_trace(Trace(attempts=attempts))


def test_servers_of_each_behaviour_are_found_with_their_times():
    fit = fitted(FREE, LINES, workers=7, calls=700)
    assert {url: each.parallel for url, each in fit.scenario().by_url.items()} == {
        "http://free/": None,
        "http://lines/": 2,
    }
    for name, true_s in (("http://free/", 0.05), ("http://lines/", 0.08)):
        assert mean_s(fit, name) == pytest.approx(true_s, abs=1.6 * true_s / np.sqrt(len(fit.endpoints[name].sound)))
    ports = [EndpointModel(url=f"http://h:{n}/", capacity=2, host="h", service=short(0.05, 0.2)) for n in (1, 2)]
    fit = fitted(*ports, hosts={"h": {"cores": 1.0}}, workers=4, calls=600, pause=short(0.2))
    assert fit.scenario().hosts["h"].cores == 1
    assert mean_s(fit, "http://h:1/") == pytest.approx(0.05, rel=0.1)


def test_a_behaviour_that_was_not_seen_is_unknown():
    fit = fitted(LINES.model_copy(update={"capacity": 6}), workers=1, calls=40)
    assert fit.endpoints["http://lines/"].tried.behaviour.name == "free"
    assert says(fit, "more than 1 at once", "too few calls: 40 have ended", "is unknown: assumed")
    assert says(fitted(LINES, workers=8, calls=80), "2 at a time")


def test_an_endpoint_with_few_calls_is_like_the_others():
    twins = [EndpointModel(url=f"http://e{n}/", capacity=2, service=short(0.05)) for n in range(3)]
    trace = made_trace(scenario(*twins))
    rest = [each for each in trace.attempts if each.endpoint != "http://e2/"]
    rare = [replace(each, ended_s=each.granted_s + 0.09) for each in trace.attempts if each not in rest][:3]
    trace.runs[0]["endpoints"].append({"name": "http://new/", "capacity": 5, "weight": 2.0, "labels": ["big"]})
    fit = fit_trace(replace(trace, attempts=[*rest, *rare]))
    assert 0.05 * 0.9 < mean_s(fit, "http://e2/") < 0.075  # its own three calls say 0.09
    assert 0.045 < mean_s(fit, "http://new/") < 0.075
    new = fit.scenario().by_url["http://new/"]
    assert (new.capacity, new.weight, new.labels) == (5, 2.0, ["big"])
    assert says(fit, "http://e2/: its own times: only 3 of its calls", "http://new/: everything")


def test_a_timeout_of_callers_is_found_and_such_calls_count_as_longer():
    slow = EndpointModel(url="http://free/", capacity=8, service=Exponential(mean_s=0.1))
    fit = fitted(slow, calls=1500, requests={"attempts": 1, "call_timeout_s": 0.2})
    assert fit.scenario().requests.call_timeout_s == pytest.approx(0.2)
    assert np.mean([each.held_s for each in fit.prepared.attempts if each.outcome == "success"]) < 0.075
    assert mean_s(fit) == pytest.approx(0.1, rel=0.12)


# -- callers ------------------------------------------------------------------------------------------


def test_callers_who_wait_are_counted_with_and_without_names_and_in_a_log_that_rounds():
    trace = made_trace(
        scenario(EndpointModel(url="http://a/", capacity=9, service=short(0.2, 0.5)), workers=9, calls=400)
    )
    named = trace.attempts
    staged = [replace(each, task=f"{each.task}, stage {each.attempt // 80}") for each in named]
    times = ("asked_s", "granted_s", "ended_s")
    rounded = [
        replace(each, task=None, **{t: round(getattr(each, t) + 0.0005 * (t == "ended_s"), 3) for t in times})
        for each in named
    ]
    nameless = [replace(each, task=None) for each in named]
    assert [caller_pattern_of(each).callers for each in (named, staged, rounded, nameless)] == [9] * 4


def test_pauses_are_known_and_those_that_are_cut_count_as_longer():
    crowd = scenario(FREE.model_copy(update={"capacity": 50}), workers=40, calls=2000, pause=Exponential(mean_s=0.5))
    found = [caller_pattern_of(prepare_trace(until(made_trace(crowd, replication=n), 2.2)).attempts) for n in range(6)]
    ended = np.concatenate([each.thinks_s[~each.thinks_open] for each in found])
    assert ended.mean() < 0.43  # the pause in which the trace ends is likely to be a long one
    assert np.mean([each.pauses_s(200).mean() for each in found]) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("pause", ["exponential", "deterministic"])
def test_callers_who_pause_are_counted_without_names(pause):
    trace = made_trace(scenario(workers=9, calls=1500, pause={"kind": pause, "mean_s": 0.05}), named=False)
    found = caller_pattern_of(trace.attempts)
    assert abs(found.callers - 9) <= (pause != "exponential")
    assert found.pauses_s(200).mean() == pytest.approx(0.05, rel=0.1 if found.callers == 9 else 0.5)


@pytest.mark.parametrize("gaps", ["random", "even", "in batches"])
def test_calls_that_come_whatever_happens_are_not_taken_for_callers_who_pause(gaps):
    rng = np.random.default_rng(3)
    batches = np.tile([0.5, *[0.0] * 9], 150)
    apart_s = {"random": rng.exponential(0.05, 1500), "even": np.full(1500, 0.05)}.get(gaps, batches)
    at_s, held_s = np.cumsum(apart_s), rng.lognormal(-2.3, 0.5, 1500)
    calls = [Attempt("r", 0, at, at, at + held, "a", outcome="success") for at, held in zip(at_s, held_s, strict=True)]
    assert caller_pattern_of(calls).callers is None


def test_a_request_that_a_proxy_tried_four_times_is_one_arrival_and_one_without_a_name_is_each_time():
    calls = [Attempt("r", 0, n / 2, n / 2, n / 2 + 0.1, "a", outcome="success") for n in range(100)]
    failed = replace(calls[40], ended_s=20.001, outcome="failure")
    named = [replace(each, task=f"request {n}") for n, each in enumerate(calls)]
    again = fit_trace(Trace(attempts=[*named, *[replace(failed, task="request 200")] * 4]))
    assert len(again.caller_pattern.at_s) == 101
    assert again.scenario().requests.attempts == 4
    nameless = fit_trace(Trace(attempts=[*calls, *[failed] * 4]))
    assert (len(nameless.caller_pattern.at_s), nameless.scenario().requests.attempts) == (104, 1)


# -- capacities and the strategy of a log ---------------------------------------------------------------


def test_the_capacity_is_what_is_in_use_after_a_wait_and_not_the_most_seen():
    log = opened(FREE.model_copy(update={"capacity": 4}))
    rng = np.random.default_rng(1)  # one in a thousand ends is noted 0.3 s too late
    late = [
        replace(each, endpoint="web/app 1", ended_s=each.ended_s + 0.3 * (rng.random() < 0.001))
        for each in log.attempts
    ]
    fit = fit_trace(Trace(attempts=late))
    (member,), (endpoint,) = fit.members, fit.scenario().endpoints
    assert member.seen > 4
    assert (member.capacity, endpoint.seen_at_once, endpoint.url[:7]) == (4, 4, "http://")
    rows = [Attempt("r", n, n / 20, n / 20, round(n / 20 + 0.05 + 0.001 * (n % 2), 3), "a") for n in range(60)]
    finer = [replace(each, ended_s=each.ended_s + 0.0001) for each in rows]  # or calls overlap for the rounding alone
    assert [fit_trace(Trace(attempts=each)).members[0].seen for each in (rows, finer)] == [1, 2]
    assert says(fit, "capacity 4: as many were in use after most of")


def test_without_a_wait_there_is_no_limit_and_with_few_it_is_the_most_seen():
    log = opened(WIDE)
    fit = fit_trace(log)
    assert fit.members[0].capacity == NO_LIMIT
    assert says(fit, "its capacity: no call waited for it; assumed to be without limit")
    calls = sorted(log.attempts, key=lambda each: each.granted_s)
    calls[500:503] = [replace(each, asked_s=each.asked_s - 0.2) for each in calls[500:503]]
    fit = fit_trace(Trace(attempts=calls))
    assert fit.members[0].capacity == fit.members[0].seen
    assert says(fit, "only 3 calls waited for it; assumed to be")
    double = fit.scenario().changed(workload={"kind": "poisson", "rate_per_s": 140.0}, horizon_s=60.0)
    assert simulate_once(double, fit.policy).metrics["wait_mean_s"] > 0
    rng = np.random.default_rng(2)
    elsewhere = [replace(each, asked_s=each.asked_s - rng.exponential(0.05)) for each in log.attempts]
    fit = fit_trace(Trace(attempts=elsewhere))
    assert fit.members[0].capacity == NO_LIMIT
    assert says(fit, "its capacity: its waits do not show one")


@pytest.mark.parametrize("capacity", [90, 2])  # with two, a call often goes to where there is room
@pytest.mark.parametrize(
    ("strategy", "taken"), [("round_robin", "round_robin"), *((each, "least_in_flight") for each in ("random", "p2c"))]
)
def test_the_strategy_of_a_log_is_round_robin_if_its_endpoints_take_turns(strategy, taken, capacity):
    pool = [WIDE.model_copy(update={"url": f"http://{name}/", "capacity": capacity}) for name in "abc"]
    fit = fit_trace(opened(*pool, strategy=strategy, horizon_s=10.0))
    assert (fit.strategy, fit.policy.strategy) == (None, taken)
    assert any(line.startswith("the strategy: ") and taken in line for line in unknown(fit))


# -- the trace, the file ------------------------------------------------------------------------------


def test_two_runs_are_laid_one_after_the_other():
    first = made_trace(scenario(calls=80))
    times = ("asked_s", "granted_s", "ended_s")
    second = [replace(each, run="again", **{k: getattr(each, k) + 1e6 for k in times}) for each in first.attempts]
    prepared = prepare_trace(replace(first, attempts=[*first.attempts, *second]))
    assert prepared.lasts_s == pytest.approx(2 * max(each.ended_s for each in first.attempts) + 1.0)
    assert caller_pattern_of(prepared.attempts).callers == 12
    assert says(
        fit_trace(replace(first, attempts=[*first.attempts, *second])), "2 runs: made with 80 calls, again with"
    )


def test_endpoints_come_and_go_by_the_events_of_the_trace():
    trace = made_trace(scenario(FREE, LINES, calls=200))
    trace.events = [
        Happening("made", 1.0, "capacity", "http://free/", 9.0),
        Happening("made", 1.0, "left", "http://lines/"),
        Happening("made", 1.5, "strategy", name="fifo"),
        Happening("made", 1.0, "joined", "http://new/", 2.0, "n"),
    ]
    found = fit_trace(trace).scenario()
    assert {each.url: each.capacity for each in found.endpoints} == {"http://free/": 9, "http://new/": 2}
    assert [each.strategy for each in found.policies] == ["fifo"]


def test_what_is_written_is_the_scenario_and_the_same_draw_is_the_same_fit(tmp_path):
    down = {"kind": "fail_within", "from_s": 0.3, "to_s": 0.8, "after_s": 0.001}
    first = EndpointModel.model_validate({**FREE.model_dump(), "faults": [down], "labels": ["a b"]})
    fit, path = fitted(first, LINES, calls=300), tmp_path / "fitted.toml"
    path.write_text(as_toml(fit.data(name='the "name"'), fit_lines(fit)), encoding="utf-8")
    assert load_scenario(path) == fit.scenario(name='the "name"')
    drawn = [fit.scenario(draw=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("capacity", (-1, 0, 1_000_000, 1_000_001, 10**30, None)),
        ("weight", (-1.0, 0.0, 5e-324, 1e308, float("inf"), float("nan"), None)),
        ("name", ("", " ", "a\n", "http://u:p@a/?k=v", "http://[::1", "x" * 300)),
        ("host", ("", " ", "a\n", "http://free/")),
        ("labels", (["", "a\n"],)),
    ],
)
def test_what_a_trace_has_and_no_scenario_may_have_is_a_line(key, values):
    made = made_trace(scenario(FREE, LINES, calls=20))
    first, *others = made.runs[0]["endpoints"]
    for value in values:
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
