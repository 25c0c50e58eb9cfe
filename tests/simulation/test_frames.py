"""What a run and a study give as frames of pandas: requests, samples, endpoints, figures."""

import subprocess
import sys

import numpy as np
import pytest
from balancer_simulator import Sweep, run_study

from balancer.errors import BalancerError
from tests.simulation.scenarios import arriving, at, endpoint, run

BROKEN_FIRST = endpoint("http://a/", faults=[{"kind": "fail_within", "to_s": 2.0, "after_s": 0.5}])


def test_each_request_is_a_row_with_what_became_of_it():
    """One slot: the first takes 2 s, the second waits for it; the third gives up after 1 s, the fourth is not done."""
    kinds = {"requests": {"kinds": [{"name": "k", "acquire_timeout_s": 1.5}]}}
    record = run(at([0.0, 1.0, 1.25, 50.0], [2.0, 1.0, 1.0, 60.0], endpoint("http://a/"), warmup_s=0.5, **kinds))
    rows = record.requests
    assert rows[["kind", "endpoint", "outcome"]].astype(object).fillna("").values.tolist() == [
        ["k", "http://a/", "answered"], ["k", "", "timed out"], ["k", "http://a/", "answered"],
        ["k", "http://a/", "unfinished"],
    ]  # fmt: skip
    numbers = rows[["arrived_s", "started_s", "ended_s", "wait_s", "attempts", "counts"]].astype(float).values
    expected = [[0, 0, 2, 0, 1, 0], [1.25, np.nan, 2.75, 1.5, 0, 1], [1, 2, 3, 1, 1, 1], [50, 50, np.nan, 0, 1, 1]]
    np.testing.assert_array_equal(numbers, expected)


def test_a_request_that_is_tried_again_is_one_row_with_all_its_waits():
    """It fails at 0.5; the other endpoint is busy until 3: it waits 0 and 2.5 s."""
    record = run(at([0.0, 0.0], [1.0, 3.0], BROKEN_FIRST, endpoint("http://b/"), requests={"attempts": 2}), "first")
    row = record.requests.set_index("arrived_s").iloc[-1]
    assert (row.attempts, row.wait_s, row.started_s, row.endpoint) == (2, 2.5, 3.0, "http://b/")


@pytest.fixture(scope="module")
def study():
    scenario = arriving(1.5, endpoint("http://a-{1..2}/", capacity=2), horizon_s=200.0, warmup_s=20.0, replications=3)
    return run_study(scenario.changed(loads=[0.3]), ["random", "always_first"])


def test_the_figures_are_those_of_the_requests(study):
    rows = study.requests()
    mine = rows[(rows.policy == "random") & rows.counts]
    waits = mine[mine.started_s.notna()].groupby("replication").wait_s
    assert waits.mean().mean() == pytest.approx(study.metric("random", "wait_mean_s").mean, rel=1e-6)
    assert (mine.outcome == "answered").sum() == sum(record.completed for record in study.records["random"])
    assert (mine.endpoint == "http://a-1/").mean() == pytest.approx(study.share("random", "http://a-1/"), abs=0.01)


def test_samples_have_the_queue_and_the_slots_in_use(study):
    record = study.records["random"][0]
    seen = record.samples
    assert seen.counts.sum() == len(seen) * 0.9
    counted = seen[seen.counts]
    busy = counted[["http://a-1/", "http://a-2/"]].sum(axis=1).mean() / 4
    assert busy == pytest.approx(record.metrics["utilisation"], rel=1e-3)
    assert seen.waiting.max() > 0
    assert record.endpoints.calls.sum() == record.metrics["calls"]
    assert len(study.endpoints()) == 2 * 3 * 2


def test_a_frame_has_every_figure_and_no_number_where_it_is_refused(study):
    frame = study.figures
    own = frame[frame.load.isna()].set_index(["policy", "figure"])
    assert len(own) == sum(len(study.metrics(policy)) for policy in study.policies)
    found, row = study.metric("random", "sojourn_mean_s"), own.loc[("random", "sojourn_mean_s")]
    assert (row["mean"], row.low, row.high, row.unit, row.known) == (found.mean, found.low, found.high, "s", True)
    refused = own.loc[("random", "sojourn_p99_s")]
    assert refused[["mean", "low", "high"]].isna().all()
    assert not refused.known
    assert frame[frame.load == 0.3].equals(frame[-len(study.at_load(0.3).figures) :])
    runs = study.runs
    assert runs.wait_mean_s[0] == study.records["random"][0].metrics["wait_mean_s"]
    sweep = Sweep({(1, "a"): study.at_load(0.3), (2, "b"): study.at_load(0.3)}).figures
    assert sweep.columns[0] == "key"
    assert set(sweep.key) == {(1, "a"), (2, "b")}


def test_pandas_and_matplotlib_are_imported_only_when_they_are_used():
    code = """if True:
        import sys
        from balancer_simulator import EndpointModel, Poisson, Scenario, run_study
        endpoints = [EndpointModel(url="a")]
        study = run_study(Scenario(workload=Poisson(rate_per_s=1.0), endpoints=endpoints, horizon_s=9.0), ["fifo"])
        study.plot, study.ranking(), study.records["fifo"][0].metrics
        sys.exit(bool({"matplotlib", "pandas"} & set(sys.modules)))"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_runs_that_keep_none_say_so(study):
    bare = run_study(study.scenario.changed(loads=[], replications=1), ["fifo"], requests=False)
    assert bare.metrics("fifo")
    with pytest.raises(BalancerError, match="requests: this run kept none of its requests; run it with requests=True"):
        bare.requests()


def test_a_cell_of_a_notebook_has_the_ranking_and_the_remarks(study):
    text = study._repr_html_().replace("<wbr>", "")
    assert text.count("<tr>") == 1 + 2
    assert text.index(f">{study.ranking()[0]}<") < text.index(f">{study.ranking()[1]}<")
    for words in (
        "95% intervals over 3 replications, 200 s each",
        "warm-up: the first 20 s",
        "too short: raise horizon_s",
    ):
        assert words in text
    assert (
        "&lt;b&gt;" in run_study(study.scenario.changed(name="<b>", loads=[], replications=1), ["fifo"])._repr_html_()
    )
