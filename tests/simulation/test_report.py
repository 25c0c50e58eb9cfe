"""What people see of a study: tables, files, charts and the page; and the commands that make them."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from balancer_simulator.report.document import page, write_report
from balancer_simulator.report.export import to_json
from balancer_simulator.report.terminal import print_study
from balancer_simulator.scenario.scenario import load_scenario
from balancer_simulator.studies.study import Study, run_study
from pandas import read_csv
from typer.testing import CliRunner

from balancer.commands.app import make_app
from balancer.plugins.registry import default_registry
from tests.simulation.printed import in_80_columns, printed

_OPEN = """
name = "open: <b>&amp;</b> $x_1$"
horizon_s = 40.0
warmup_s = 4.0
replications = 3
policies = ["fifo", "p2c", "always_first"]

[workload]
kind = "poisson"
rate_per_s = 3.0

[[endpoints]]
url = "http://<script>/$a_1$"
faults = [{ kind = "crash_repair", mtbf_s = 10.0, mttr_s = 3.0 }]

[[endpoints]]
url = "http://b{1..3}/"
"""

BATCH = """
name = "batch"
horizon_s = 500.0
replications = 2
policies = ["fifo", "old_global_queue"]

[workload]
kind = "batch"
samples = 3
stages = [{ name = "one", tasks = 4, workers = 2 }, { name = "two", tasks = 6, workers = 3 }]

[[endpoints]]
url = "http://a{1..2}/"
"""

_NOTHING = _OPEN.replace("rate_per_s = 3.0", "rate_per_s = 0.000001")


def study_of(folder: Path, text: str, **changes: object) -> Study:
    path = folder / "scenario.toml"
    path.write_text(text)
    return run_study(load_scenario(path).changed(**changes))


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    return {
        "open": study_of(folder, _OPEN),
        "batch": study_of(folder, BATCH),
        "loads": study_of(folder, _OPEN, loads=[0.3, 0.6], replications=2),
        "one": study_of(folder, _OPEN, replications=1),
        "nothing": study_of(folder, _NOTHING),
        "unfinished": study_of(folder, BATCH, horizon_s=1.0),
    }


@pytest.fixture(scope="module")
def pages(studies):
    """Return what draws the page of a study, once: it takes a second."""
    return cache(lambda kind: page(studies[kind]))


KINDS = ("open", "batch", "loads", "one", "nothing", "unfinished")


@pytest.mark.sampled(5)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_tables_fit_80_columns_in_any_encoding(studies, kind, encoding):
    text = in_80_columns(encoding, studies[kind], print_study)
    for policy in studies[kind].policies:
        assert policy in text


def test_the_ranking_says_how_sure_it_is(studies):
    said = {
        "open": "95% intervals over 3 replications",
        "one": "one replication, so no intervals",
        "nothing": "in no replication did a request succeed",
        "unfinished": "no batch was done within horizon_s, 1 s",
    }
    for kind, words in said.items():
        assert words in " ".join(printed(studies[kind], print_study, width=120).split())


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_stands_alone_and_escapes_names(studies, pages, kind):
    study = studies[kind]
    text = pages(kind)
    if kind in ("batch", "unfinished"):
        assert text == page(study), "the same study gives the same bytes"
    assert not re.search(r"""(src|href)=["'](?!#)""", text), "nothing is loaded from elsewhere"
    assert "<script>" not in text
    assert "<b>&amp;" not in text
    for policy in study.policies:
        assert f"<code>{policy}</code>" in text.replace("<wbr>", "")
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_page_has_the_charts_that_its_study_is_about(studies, pages):
    def titles(kind: str) -> list[str]:
        return re.findall(r"<figure[^>]*><h3>([^<]+)</h3>", pages(kind))

    assert titles("open")[0] == "Ranking by sojourn, mean"
    assert "Time by load" in titles("loads")
    assert "Time by load" not in titles("open")
    best = studies["open"].ranking()[0]
    assert {f"Utilisation over time: {best}", f"Share of calls: {best}"} <= set(titles("open"))
    assert {"Times of requests: the tail", "Waits: the tail"} <= set(titles("open"))


@pytest.mark.more
def test_the_files_have_every_figure(studies, tmp_path):
    study = studies["open"]
    assert write_report(study, tmp_path / "new" / "folder") == tmp_path / "new" / "folder" / "report.html"
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "endpoints.csv", "report.html", "results.json", "runs.csv",
    ]  # fmt: skip
    found = json.loads(to_json(study))
    assert found["ranking"]["policies"] == study.ranking()
    assert found["policies"]["fifo"]["wait_mean_s"]["mean"] == study.metric("fifo", "wait_mean_s").mean
    assert sum(found["shares"]["fifo"].values()) == pytest.approx(1.0)
    assert study.ranking()[0] not in found["differences_to_best"]
    runs = read_csv(tmp_path / "new" / "folder" / "runs.csv")
    assert list(zip(runs.policy, runs.replication, strict=True)) == [
        (policy, number) for policy in study.policies for number in range(3)
    ]
    assert runs.wait_mean_s[0] == study.records["fifo"][0].metrics["wait_mean_s"]
    endpoints = read_csv(tmp_path / "new" / "folder" / "endpoints.csv")
    assert (len(endpoints), endpoints.url[0]) == (3 * 3 * 4, "http://<script>/$a_1$")


def test_the_scenario_in_the_results_makes_the_same_results(studies, tmp_path):
    first = to_json(studies["open"])
    again = type(studies["open"].scenario).model_validate(json.loads(first)["scenario"])
    assert to_json(run_study(again)) == first


# -- commands -----------------------------------------------------------------------------------------


def invoke(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(make_app(default_registry()), list(arguments))
    return result.exit_code, result.output, result.exception


def test_the_commands_print_and_write(tmp_path):
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(BATCH)
    code, output, _ = invoke("simulate", str(scenario), "--jobs", "1", "--out", str(tmp_path / "out"))
    assert code == 0, output
    assert "ranked by makespan" in output
    assert (tmp_path / "out" / "report.html").exists()
    code, output, _ = invoke(
        "simulate", str(scenario), "--strategy", "random", "--replications", "1", "--seed", "5", "--jobs", "1"
    )
    assert code == 0, output
    assert "random" in output
    assert "fifo" not in output
