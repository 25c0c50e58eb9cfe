"""A study shows itself: as a cell of a notebook, and as a table of pandas."""

import sys
from typing import Any

import pytest
from balancer_simulator import Scenario, Study, Sweep, run_study
from balancer_simulator.report.notebook import more_than

from balancer.errors import BalancerError
from tests.simulation.scenarios import endpoint


@pytest.fixture(scope="module")
def study():
    usual: dict[str, Any] = {
        "name": "a <b>&</b>",
        "workload": {"kind": "poisson", "rate_per_s": 1.6},
        "endpoints": [endpoint("http://a-{1..2}/", capacity=2, parallel=1)],
        "horizon_s": 200.0,
        "warmup_s": 20.0,
        "replications": 3,
        "health": None,
    }
    return run_study(Scenario.model_validate(usual), ["random", "least_in_flight", "always_first"])


def test_a_cell_has_the_ranking_who_won_and_how_it_was_run(study):
    text = study._repr_html_()
    assert text.count("<tr>") == 1 + 3
    places = [text.index(f">{policy}</td>") for policy in study.ranking()]
    assert places == sorted(places)
    assert "a &lt;b&gt;&amp;&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "cannot keep up" in text
    assert "warm-up: the first 20 s of each run do not count" in text
    assert "too short: raise horizon_s or replications" in text
    assert "95% intervals over 3 replications, 200 s each; seed 1" in text


def test_one_replication_says_nothing_of_chance(study):
    alone = Study(study.scenario.changed(replications=1), {p: r[:1] for p, r in study.records.items()})
    assert "one replication, so no intervals" in alone._repr_html_()
    assert "no difference" not in alone._repr_html_().rsplit("</table>", 1)[1]


def test_a_frame_has_every_figure_and_no_number_where_it_is_refused(study):
    frame = study.to_frame()
    assert len(frame) == sum(len(study.metrics(policy)) for policy in study.policies)
    row = frame.set_index(["policy", "figure"]).loc[("random", "sojourn_mean_s")]
    found = study.metric("random", "sojourn_mean_s")
    assert (row["mean"], row["low"], row["high"], row["unit"]) == (found.mean, found.low, found.high, "s")
    refused = frame[~frame["known"]]
    assert set(refused[refused["policy"] == "random"]["figure"]) == set(study.too_short("random")) != set()
    assert refused[["mean", "low", "high"]].isna().all().all()
    runs = study.to_frame(runs=True)
    assert list(runs["replication"]) == [0, 1, 2] * 3
    assert list(runs["utilisation"][:3]) == study.values("random", "utilisation")


def test_a_sweep_has_its_keys_before(study):
    frame = Sweep({(1, "a"): study, (2, "b"): study}).to_frame()
    assert list(frame.columns)[:3] == ["key", "policy", "figure"]
    assert list(frame["key"].unique()) == [(1, "a"), (2, "b")]
    assert len(frame) == 2 * len(study.to_frame())


def test_without_pandas_it_is_said_what_to_install(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BalancerError, match="pip install pandas"):
        study.to_frame()


def test_how_much_more_is_said_with_what_may_be_chance(study):
    assert more_than(study, "random", "random") == "no difference"
    assert more_than(study, "random", "least_in_flight", "sojourn_p99_s") == "too short"
    assert more_than(study, "random", "least_in_flight").startswith("+")
