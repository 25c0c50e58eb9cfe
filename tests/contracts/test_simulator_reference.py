"""The simulator's page names what a scenario may say and what a study finds: no more, no less, with the defaults."""

import re
from dataclasses import is_dataclass
from typing import get_args

import balancer_simulator
import pytest
from balancer_simulator.scenario.distributions import Distribution
from balancer_simulator.scenario.endpoints import Change, EndpointModel, Fault
from balancer_simulator.scenario.fields import Policy, PolicySessions
from balancer_simulator.scenario.scenario import Scenario, load_scenario
from balancer_simulator.scenario.workload import Kind, Requests, Stage, Workload
from balancer_simulator.studies.figures import FIGURES
from pydantic import BaseModel

from tests.contracts.documents import ROOT, rows

_PAGE = ROOT / "docs" / "simulator.md"
_CODE = re.compile(r"`([^`]+)`")
_SCENARIOS = sorted((ROOT / "examples" / "scenarios").glob("*.toml"))
_GUIDE = sorted((ROOT / "examples" / "scenarios" / "guide").glob("*.toml"))


def _as_written(value):
    """Return a default as the page writes it; None for one that it describes in words."""
    if value is None:
        return "none"
    if isinstance(value, BaseModel) or is_dataclass(value) or (isinstance(value, list) and value):
        return None
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("Scenario", Scenario),
        ("Endpoints", EndpointModel),
        ("Requests", Requests),
        ("Changes", Change),
    ],
)
def test_every_key_is_on_the_page_with_its_default(heading, model):
    listed = {_CODE.findall(key)[0]: default for key, default, _ in rows(_PAGE, heading)}
    assert list(listed) == list(model.model_fields)
    for name, field in model.model_fields.items():
        written = "required" if field.is_required() else _as_written(field.get_default(call_default_factory=True))
        assert written is None or listed[name] == written, name


def _members(union):
    return {model.model_fields["kind"].default: model for model in get_args(get_args(union)[0])}


@pytest.mark.parametrize(
    ("heading", "union"), [("Workloads", Workload), ("Distributions", Distribution), ("Faults", Fault)]
)
def test_every_kind_is_on_the_page_with_its_keys(heading, union):
    table = {_CODE.findall(kind)[0]: keys for kind, keys, _ in rows(_PAGE, heading)}
    assert list(table) == list(_members(union))
    for kind, model in _members(union).items():
        # Keys have letters, defaults are numbers.
        named = [word for word in _CODE.findall(table[kind]) if re.match(r"[a-z]", word)]
        assert set(named) == set(model.model_fields) - {"kind"}, kind
        for name, field in model.model_fields.items():
            default = field.get_default() if not field.is_required() else None
            if isinstance(default, int | float) and default != float("inf"):
                assert f"`{name}` (`{default}`)" in table[kind], f"{kind}.{name}"


@pytest.mark.parametrize("model", [Stage, Kind, Policy, PolicySessions])
def test_the_keys_of_smaller_tables_are_named(model):
    text = _PAGE.read_text(encoding="utf-8")
    assert [name for name in model.model_fields if f"`{name}`" not in text] == []


def test_every_figure_is_on_the_page():
    listed = [name for row in rows(_PAGE, "Figures") for name in _CODE.findall(row[0])]
    assert listed == [figure.key for figure in FIGURES]


def test_every_public_name_is_there_and_described():
    for name in balancer_simulator.__all__:
        assert getattr(balancer_simulator, name).__doc__, name
    with pytest.raises(AttributeError, match="Scenaro"):
        _ = balancer_simulator.Scenaro


@pytest.mark.parametrize("path", _SCENARIOS, ids=lambda path: path.stem)
def test_the_example_scenarios_load(path):
    assert load_scenario(path).policies
    assert f"examples/scenarios/{path.name}" in path.read_text(encoding="utf-8"), "it must say how it is run"


@pytest.mark.parametrize("path", _GUIDE, ids=lambda path: path.stem)
def test_the_scenarios_of_the_guide_load_and_compare_all_strategies(path):
    assert not load_scenario(path).policies
    assert "examples/scenarios/guide/*.toml" in _PAGE.read_text(encoding="utf-8")
