"""The page, however much there is to show: tables stay as wide as a page, and what is too much is folded."""

import re
from dataclasses import replace

import pytest
from balancer_simulator.report.charts import draw_charts
from balancer_simulator.report.document import page, settings_lines
from balancer_simulator.studies.study import run_study

from tests.simulation.test_report import BATCH, study_of


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("studies"), BATCH, policies=["fifo"])


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("policies", "tables"), [(1, [2]), (6, [7]), (7, [5, 4]), (14, [6, 6, 5])])
def test_no_table_of_figures_is_wider_than_a_page(study, policies, tables):
    names = [f"policy_{n}" for n in range(policies)]
    text = page(replace(study, records=dict.fromkeys(names, study.records["fifo"])))
    heads = re.findall(r'<table class="compared">\s*<thead>(.*?)</thead>', text, flags=re.S)
    assert [head.count("<th ") for head in heads] == tables
    shown = re.findall(r"<code>(policy_\d+)</code>", "".join(heads).replace("<wbr>", ""))
    assert shown == names


def test_of_many_policies_the_best_are_shown_and_the_others_folded(study):
    many = run_study(study.scenario, ["first", "random", "p2c", "round_robin", "jiq", "fifo", "c3"])
    titles = [chart.title for chart in draw_charts(many) if chart.title.startswith("Utilisation over time: ")]
    assert titles == [f"Utilisation over time: {many.ranking()[0]}"]
    text = page(many)
    assert "<summary>Figures of the other 3 policies</summary>" in text
    shown = re.findall(r"<th scope=\"col\" class=\"number\"><code>(\w+)</code>", text.replace("<wbr>", ""))
    assert shown == many.ranking()


def test_the_page_has_figures_by_kind_where_there_are_several(study):
    assert 'id="kinds"' not in page(study)
    kinds = [{"name": "short"}, {"name": "<long>", "work": {"kind": "deterministic", "mean_s": 9.0}}]
    text = page(run_study(study.scenario.changed(requests={"kinds": kinds}), ["fifo"]))
    section = re.search(r'<section id="kinds">.*?</section>', text, flags=re.S)
    assert section
    assert [line.count("<td") for line in section[0].split("<tr>")[2:]] == [6, 6]
    assert "<td>&lt;long&gt;</td>" in section[0]


def test_the_settings_of_a_report_leave_out_long_records(study):
    recorded = {"kind": "arrivals", "at_s": [0.5] * 3000}
    text = "\n".join(settings_lines(study.scenario.changed(workload=recorded)))
    assert '"... 3000 values"' in text
    assert text.count("0.5") == 3
    assert "http://a{1..2}/" in text
