"""A study says which policies are best, and gives its part at one load as a study of its own."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from balancer_simulator import Closed, EndpointModel, Poisson, Scenario, Study, run_study
from balancer_simulator.report.document import page
from balancer_simulator.report.export import to_data
from balancer_simulator.report.terminal import print_study

from tests.simulation.printed import printed

_ENDPOINTS = [EndpointModel(url="http://{1..2}/")]


def _study(makespans: dict[str, Sequence[float]]) -> Study:
    scenario = Scenario(workload=Closed(workers=1), endpoints=_ENDPOINTS, horizon_s=5.0, replications=1)
    record = run_study(scenario, ["fifo"]).records["fifo"][0]
    return Study(
        scenario, {policy: tuple(replace(record, makespan_s=s) for s in found) for policy, found in makespans.items()}
    )


def test_the_best_comes_first_and_then_who_cannot_be_told_apart():
    # Differences to the best: 2, -1, 1 and so 0.67 +- 3.8, which holds 0; of the last 20 each time.
    study = _study({"worse": [30.0, 31.0, 32.0], "alike": [12.0, 10.0, 13.0], "best": [10.0, 11.0, 12.0]})
    assert study.best("makespan_s") == ["best", "alike"]


def test_with_one_replication_nobody_can_be_told_apart():
    assert _study({"slow": [20.0], "quick": [10.0]}).best("makespan_s") == ["quick", "slow"]


def test_a_load_is_a_study_with_its_own_records():
    scenario = Scenario(
        workload=Poisson(rate_per_s=1.0), endpoints=_ENDPOINTS, horizon_s=50.0, replications=2, loads=[0.2, 0.9]
    )
    study = run_study(scenario, ["fifo", "random"])
    busy = study.at_load(0.9)
    assert busy.records is study.curves[0.9]
    assert busy.scenario.workload == Poisson(rate_per_s=1.8)  # 0.9 of the two calls per second that are possible
    assert busy.metric("fifo", "wait_mean_s").mean > study.at_load(0.2).metric("fifo", "wait_mean_s").mean
    with pytest.raises(KeyError):
        study.at_load(0.5)


# -- a crown on the page, in the tables and in the data: only for one that has won ------------------------

_ALIKE = {"p": [10.0, 11.0, 12.0], "q": [12.0, 10.0, 13.0], "slow": [30.0, 31.0, 32.0]}


def _verdict(study: Study) -> str:
    """Return the answer on the page."""
    found = re.search(r'<p class="verdict[^>]*>(.*?)</p>', page(study), re.DOTALL)
    return re.sub(r"<[^>]+>", "", found[1]) if found else ""


@pytest.mark.more
def test_one_that_may_have_been_lucky_is_not(monkeypatch):
    study = _batch(_ALIKE, monkeypatch)
    assert _verdict(study) == "No difference by makespan that these runs show: p, q; keep p."
    text = printed(study, print_study, width=100)
    assert "no difference by makespan that these runs show: p, q; keep p\n" in text
    assert "best by" not in text
    places = [line.split()[:2] for line in text.splitlines() if line[:1].isdigit()]
    assert places == [["1", "p"], ["1", "q"], ["3", "slow"]]
    assert to_data(study)["ranking"]["best"] == ["p", "q"]


def test_one_replication_crowns_nobody(monkeypatch):
    study = _batch({"p": [10.0], "q": [20.0]}, monkeypatch)
    assert _verdict(study) == "One replication decides nothing; p is first by makespan."
    assert "best by" not in printed(study, print_study, width=100)


def _batch(makespans: dict[str, Sequence[float]], monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return a study that is ranked by the makespan, with these."""
    study = _study(makespans)
    count = len(next(iter(makespans.values())))
    monkeypatch.setattr(Study, "default_metric", property(lambda _: "makespan_s"))
    return replace(study, scenario=study.scenario.changed(replications=count))
