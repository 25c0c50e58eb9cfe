"""Conversations in virtual time: what caches meet, by hand; where keys and sessions go; the same for every strategy."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from balancer_simulator import Policy, PolicySessions, Record, Scenario, load_scenario, run_study, simulate_once

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Trace, write_trace
from tests.simulation.scenarios import at, change, endpoint

_TALKS: dict[str, Any] = {
    "kind": "conversations",
    "conversations_per_s": 0.5,
    "turns": 4.0,
    "adds": 2.0,
    "think": {"kind": "exponential", "mean_s": 2.0},
    "systems": 5,
    "system_blocks": 2,
}

_STAY = PolicySessions()


def _recorded(at_s: Sequence[float], *endpoints: Mapping[str, Any], **values: Any) -> Scenario:
    """Return a scenario with recorded prompts or sessions, whose answers take 0.5 s."""
    columns = {name: values.pop(name) for name in ("prompts", "sessions") if name in values}
    workload = {"kind": "arrivals", "at_s": list(at_s), "work_s": [0.5] * len(at_s), **columns}
    return at(at_s, 0.5, *endpoints, workload=workload, **values)


def _talking(**values: Any) -> Scenario:
    cached = {"prefill_s": 0.25, "cache_blocks": 40}
    data = {
        "workload": _TALKS,
        "work": {"kind": "exponential", "mean_s": 0.5},
        "endpoints": [endpoint("http://10.0.0.{1..3}/", capacity=8, **cached)],
        "horizon_s": 100.0,
        "warmup_s": 0.0,
        "replications": 1,
    }
    return Scenario.model_validate({**data, **values})


def _at_each(record: Record) -> list[int]:
    return [each.calls for each in record.by_endpoint]


def test_a_cache_by_hand():
    cached = endpoint(prefill_s=1.0, cache_blocks=3)
    prompts = ["x/y", "x/y/z", "u/v", "x/y/z"]
    # Missing: x y; z; u v, which throw out z and y; y z. So 2.5 + 1.5 + 2.5 + 2.5 s.
    found = simulate_once(_recorded([0, 10, 20, 30], cached, prompts=prompts), Policy(strategy="fifo")).metrics
    assert (found["cached_blocks"], found["cached_at_best"]) == (3 / 10, 5 / 10)
    assert (found["sojourn_mean_s"], found["sojourn_max_s"]) == (2.25, 2.5)


def test_a_fast_server_without_a_cache_computes_all_faster():
    found = simulate_once(
        _recorded([0, 10], endpoint(prefill_s=1.0, speed=2.0), prompts=["x/y", "x/y"]), Policy(strategy="fifo")
    ).metrics
    assert (found["cached_blocks"], found["sojourn_mean_s"]) == (0.0, 1.25)


def test_a_crash_empties_the_cache_and_a_refusal_does_not_fill_it():
    flapping = {"kind": "crash_repair", "mtbf_s": 5.0, "mttr_s": 1e-6}
    hole = {"kind": "fail_within", "after_s": 0.01, "to_s": 5.0}
    for faults, met in (([], 9 / 10), ([flapping], 0.0), ([hole], 8 / 9)):
        kept = endpoint(prefill_s=1.0, cache_blocks=9, faults=faults)
        scenario = _recorded([100.0 * n for n in range(10)], kept, prompts=["x"] * 10, horizon_s=1000.0)
        scenario = scenario.changed(requests={"attempts": 1})
        assert simulate_once(scenario, Policy(strategy="fifo")).metrics["cached_blocks"] == met


def test_the_first_blocks_or_the_session_or_the_prompt_are_the_key():
    both = [endpoint(f"http://10.0.0.{n}/", capacity=64, prefill_s=1.0, cache_blocks=99) for n in (1, 2)]
    prompts = [f"s/{talk}/{talk}.{turn}" for turn in range(8) for talk in "abcdefgh"]
    scenario = _recorded(
        [0.25 * n for n in range(64)], *both, prompts=prompts, sessions=[prompt[2] for prompt in prompts]
    )
    found = {
        label: simulate_once(scenario, Policy(strategy=strategy, label=label, **keys)).metrics
        for label, strategy, keys in (
            ("one block", "rendezvous", {"key": 1}),
            ("two blocks", "rendezvous", {"key": 2}),
            ("session", "rendezvous", {"key": "session"}),
            ("prompt", "prefix", {"options": {"bound": 2.0}}),
        )
    }
    assert found["one block"]["imbalance"] == 2.0, "all prompts begin with s"
    for label, figures in found.items():
        assert figures["moved_turns"] == 0, label
    assert found["two blocks"]["imbalance"] < 2
    # Of 192 blocks, the last of each of the 64 prompts is new, and the second of the first eight. s is new at both.
    assert found["two blocks"]["cached_blocks"] == found["session"]["cached_blocks"] == (192 - 64 - 8 - 2) / 192
    assert all(figures["cached_at_best"] == (192 - 64 - 8 - 1) / 192 for figures in found.values())


@pytest.mark.parametrize(
    ("sessions", "moved", "broken"),
    [(None, None, 0.0), ({}, 0.0, 0.5), ({"elsewhere": ["gone"]}, 1 / 5, 0.0), ({"elsewhere": ["full"]}, 0.0, 0.5)],
)
def test_a_server_that_is_removed_breaks_its_sessions_or_they_move(sessions, moved, broken):
    servers = [endpoint("http://10.0.0.1/"), endpoint("http://10.0.0.2/")]
    names = ["p", "q", "p", "q", "p", "q", "p"]  # p and q begin at one instant, so at different servers
    gone = change(15.0, "remove", "http://10.0.0.1/")
    scenario = _recorded([0, 0, 10, 10, 20, 20.5, 30], *servers, sessions=names, changes=[gone])
    policy = Policy(strategy="fifo", sessions=PolicySessions(**sessions) if sessions is not None else None)
    found = simulate_once(scenario, policy).metrics
    assert found["broken_sessions"] == broken
    assert moved is None or found["moved_turns"] == moved


def test_a_request_waits_for_the_endpoint_of_its_session_unless_it_may_leave_a_full_one():
    servers = [endpoint("http://10.0.0.1/"), endpoint("http://10.0.0.2/")]
    scenario = _recorded([0, 10, 10], *servers, sessions=["p", "p", "p"])
    waits = simulate_once(scenario, Policy(strategy="fifo", sessions=PolicySessions()))
    leaves = simulate_once(scenario, Policy(strategy="fifo", sessions=PolicySessions(elsewhere=["full"])))
    assert (waits.metrics["sojourn_max_s"], sorted(_at_each(waits))) == (1.0, [0, 3])
    assert (leaves.metrics["sojourn_max_s"], sorted(_at_each(leaves))) == (0.5, [1, 2])


def test_a_failed_request_leaves_its_session_only_by_choice():
    down = {"faults": [{"kind": "fail_within", "after_s": 0.01, "from_s": 5.0}]}
    servers = [endpoint("http://10.0.0.1/", **down), endpoint("http://10.0.0.2/", from_s=1.0)]
    scenario = _recorded([0, 10], *servers, sessions=["p", "p"])
    for elsewhere, completed in (([], 1), (["gone"], 2)):
        policy = Policy(strategy="fifo", sessions=PolicySessions(elsewhere=elsewhere))
        assert simulate_once(scenario, policy).completed == completed


@pytest.mark.parametrize("strategy", ["prefix", "old_global_queue"])
def test_what_is_said_does_not_depend_on_the_strategy_and_runs_repeat(strategy):
    scenario = _talking(horizon_s=60.0, requests={"kinds": [{"name": "a"}, {"name": "b"}]})

    def said(policy: Policy) -> dict[tuple[str, str], tuple[str, float]]:
        found = {}
        simulate_once(
            scenario,
            policy,
            observer=lambda task, _: found.setdefault(
                (task.demand.session, task.demand.prompt), (task.demand.name, task.work_s)
            ),
        )
        return found

    one, other = said(Policy(strategy=strategy)), said(Policy(strategy="least_in_flight"))
    both = one.keys() & other.keys()
    assert len(both) > 50
    assert {turn: one[turn] for turn in both} == {turn: other[turn] for turn in both}
    again = [simulate_once(scenario, Policy(strategy=strategy)).metrics for _ in range(2)]
    assert again[0] == again[1]


def test_conversations_are_as_the_scenario_says():
    prompts: dict[str, list[str]] = {}
    scenario = _talking(horizon_s=600.0, workload={**_TALKS, "think": {"kind": "deterministic", "mean_s": 0.0}})
    simulate_once(
        scenario,
        Policy(strategy="fifo"),
        observer=lambda task, _: prompts.setdefault(task.demand.session, []).append(task.demand.prompt),
    )
    assert len(prompts) == pytest.approx(300, rel=0.2)
    turns = [prompt.split("/") for talk in prompts.values() for prompt in talk]
    assert len(turns) / len(prompts) == pytest.approx(4.0, rel=0.2)
    first = sum(talk[0].startswith("s0.0/s0.1/") for talk in prompts.values()) / len(prompts)
    assert first == pytest.approx(1 / sum(1 / n for n in range(1, 6)), abs=0.1)
    assert all(later.startswith(f"{one}/") for talk in prompts.values() for one, later in pairwise(talk))
    added = [len(talk[0].split("/")) - 2 for talk in prompts.values()]
    assert min(added) == 1
    assert sum(added) / len(added) == pytest.approx(2.0, rel=0.25)


# -- files ---------------------------------------------------------------------------------------------


def _of_file(folder: Path, name: str, more: str = "") -> Scenario:
    scenario = folder / "scenario.toml"
    scenario.write_text(
        f'[workload]\nkind = "arrivals"\nfile = "{name}"\n{more}\n'
        '[[endpoints]]\nurl = "http://10.0.0.{1..2}/"\nprefill_s = 0.5\ncache_blocks = 10\ncapacity = 9\n'
    )
    return load_scenario(scenario)


def test_a_trace_of_a_pool_has_keys(tmp_path):
    trace = Trace(runs=[{"row": "run", "run": "r", "version": 1}])
    for number, (key, outcome) in enumerate([("k", "success"), (None, "success"), ("k", "failure"), ("k", "success")]):
        at_s = 5.0 + number
        trace.attempts.append(
            Attempt("r", number, at_s, at_s + 0.25, at_s + 0.75, "http://10.0.0.1/", key=key, outcome=outcome)
        )
    write_trace(trace, tmp_path / "t.jsonl")
    scenario = _of_file(tmp_path, "t.jsonl")
    assert scenario.workload.to_data() == {
        "kind": "arrivals",
        "at_s": [0.0, 1.0, 3.0],
        "work_s": [0.5, 0.5, 0.5],
        "prompts": ["k", "", "k"],
        "sessions": ["k", "", "k"],
    }
    assert simulate_once(scenario, Policy(strategy="rendezvous")).metrics["cached_blocks"] == 0.5


def test_another_table_is_refused_with_a_way_out_and_a_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("0.5\n")
    with pytest.raises(ConfigError, match=r"a\.csv: is no trace; make one of it: .* --from csv --out trace\.jsonl"):
        _of_file(tmp_path, "a.csv")
    with pytest.raises(ConfigError, match=r"b\.csv cannot be read: No such file"):
        _of_file(tmp_path, "b.csv")


# -- mistakes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: _talking(endpoints=[endpoint(cache_blocks=9)]), "it saves nothing without prefill_s"),
        (lambda: _talking(workload={"kind": "poisson", "rate_per_s": 1.0}), "the requests have no prompts"),
        (lambda: _talking(loads=[0.5]).at_load(0.5), "depends on what is cached"),
        (lambda: run_study(at([0.0, 1.0]), [Policy(strategy="fifo", key=8)]), "found key = 8"),
        (lambda: run_study(at([0.0, 1.0]), [Policy(strategy="fifo", sessions=_STAY)]), "the requests have none"),
        (lambda: run_study(_talking(), [Policy(strategy="always_first", key=8)]), "a baseline has neither"),
    ],
)  # fmt: skip
def test_what_would_have_no_effect_is_refused(make, said):
    with pytest.raises((ConfigError, ValueError), match=said):
        make()
