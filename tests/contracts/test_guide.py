"""docs/strategies.md shows every strategy in every scenario of the guide, and recommends what its table does."""

import re

from balancer_simulator.studies.study import all_policies

from tests.contracts.documents import ROOT

_PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
_SCENARIOS = sorted((ROOT / "examples" / "scenarios" / "guide").glob("*.toml"))
_ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in re.findall(r"^\|.*\|$", _PAGE.partition("## Six cases")[2].partition("\n## ")[0], flags=re.MULTILINE)
]


def test_every_scenario_is_a_column_and_is_explained():
    assert _ROWS[0] == ["strategy", *(path.name for path in _SCENARIOS)]
    for path in _SCENARIOS:
        assert f"(../examples/scenarios/guide/{path.name})" in _PAGE


def test_every_policy_is_a_row_with_a_cell_for_each():
    assert [row[0] for row in _ROWS[2:]] == [f"`{policy.label}`" for policy in all_policies()]
    assert {len(row) for row in _ROWS} == {len(_SCENARIOS) + 1}


def test_the_strategy_that_is_recommended_is_best_most_often():
    best = {row[0]: row.count("**1.00**") for row in _ROWS[2:]}
    assert f"Take {max(best, key=best.__getitem__)}." in _PAGE
