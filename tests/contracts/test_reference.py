"""The reference pages name what there is: no more, no less, and with the right defaults."""

import re
from collections import Counter
from dataclasses import is_dataclass

import pytest
from pydantic import BaseModel

import balancer
from balancer.core.metrics import PoolStats, WaitHistogram
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.run_result import RunResult
from balancer.plugins.registry import default_registry
from balancer.problem import Verdict
from balancer.settings.config import Config
from balancer.settings.llm import LlmBudget, LlmSettings
from balancer.settings.pipeline import PipelineSettings, RowSettings, VerifySettings
from balancer.settings.pool import DiscoverySettings, EndpointSettings, PoolSection, TraceSettings
from balancer.settings.proxy import ProxySettings, SessionSettings, TenantSettings
from balancer.settings.rules import HolderSettings, LimitSettings, QuotaSettings, RetrySettings
from balancer.settings.tables import HealthSection, keys_of
from tests.contracts.documents import ROOT, prose, rows

_DOCS = ROOT / "docs"
_CODE = re.compile(r"`([^`]+)`")


def _names(document, heading):
    """Return what the first column of a table names in backticks."""
    return [name for row in rows(_DOCS / document, heading) for name in _CODE.findall(row[0])]


# -- public names -------------------------------------------------------------------------------------


# A star leaves out what cannot be imported in a plain install.
_PUBLIC = sorted([*balancer.__all__, "BalancedAdapter", "BalancedMiddleware", "openai"])


def test_the_public_names_are_those_that_the_library_page_lists():
    assert sorted(_names("library.md", "Public names")) == _PUBLIC


def test_the_reference_shows_the_public_names_the_pool_first():
    shown = re.findall(
        r"^        - (\w+)$", (_DOCS / "reference" / "pool.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(shown) == _PUBLIC
    assert shown[0] == "Pool"


def _code():
    return [file for room in ("balancer", "strategies", "simulator") for file in sorted((ROOT / room).rglob("*.py"))]


# -- configuration ------------------------------------------------------------------------------------

_SECTIONS = {
    "[pool]": PoolSection,
    "[[endpoints]]": EndpointSettings,
    "[discovery]": DiscoverySettings,
    "[health]": HealthSection,
    "[limits]": LimitSettings,
    "[quotas]": QuotaSettings,
    "[holders]": HolderSettings,
    "[retries]": RetrySettings,
    "[pipeline]": PipelineSettings,
    "[pipeline.rows]": RowSettings,
    "[verify]": VerifySettings,
    "[llm]": LlmSettings,
    "[llm.budget]": LlmBudget,
    "[trace]": TraceSettings,
    "[proxy]": ProxySettings,
    "[proxy.sessions]": SessionSettings,
    "[[proxy.tenants]]": TenantSettings,
}
_FREE_TABLES = {"[host_caps]"}  # their keys are the user's own


def _as_toml(value):
    """Write a default as the page does."""
    if value is None:
        return "none"
    if isinstance(value, BaseModel) or is_dataclass(value):
        return "see there"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{str(value).replace(chr(39), chr(34))}`"


@pytest.mark.parametrize("section", _SECTIONS)
def test_every_key_is_on_the_config_page_with_its_default(section):
    keys = [_CODE.findall(key)[0] for key, *_ in rows(_DOCS / "config.md", section)]
    assert len(keys) == len(set(keys)), "a key is there twice"
    listed = {_CODE.findall(key)[0]: default for key, _, default, _ in rows(_DOCS / "config.md", section)}
    fields = keys_of(_SECTIONS[section])
    assert listed == {
        name: "required" if field.is_required() else _as_toml(field.get_default(call_default_factory=True))
        for name, field in fields.items()
    }


def test_the_config_page_has_every_section():
    headings = re.findall(r"^## (\[.+\])$", (_DOCS / "config.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(headings) == {*_SECTIONS, *_FREE_TABLES}
    assert {section.strip("[]").split(".")[0] for section in headings} == set(Config.model_fields)


@pytest.mark.parametrize("name", sorted(default_registry().strategies))
def test_every_strategy_is_on_its_page_with_its_options(name):
    assert name in _names("strategies.md", "Which one")
    options = default_registry().strategies[name].item.Options.model_fields
    if options:
        listed = [(_CODE.findall(row[0])[0], row[1]) for row in rows(_DOCS / "strategies.md", f"Options of {name}")]
        assert listed == [(option, _as_toml(field.default)) for option, field in options.items()]


# -- results ------------------------------------------------------------------------------------------


def test_every_verdict_and_case_state_is_on_the_pipeline_page():
    assert _names("pipeline.md", "Verdicts") == [verdict.value for verdict in Verdict]
    assert _names("pipeline.md", "Input states") == [state.value for state in CaseState]


def _summary():
    pool = PoolStats.of([], strategy="fifo", acquired=0, timed_out=0, waiting=0, waits=WaitHistogram())
    problem = ProblemResult("p", "P", (), ())
    return RunResult((problem,), pool, slots=0, makespan_s=0.0, strategy="fifo").summary()


def test_every_key_of_the_summary_is_on_the_pipeline_page():
    summary = _summary()
    assert _names("pipeline.md", "summary.json") == list(summary)
    assert _names("pipeline.md", "counts") == list(summary["counts"])
    assert _names("pipeline.md", "per_problem") == list(summary["per_problem"][0])


# -- glossary -----------------------------------------------------------------------------------------


def _terms():
    return [term.strip() for row in rows(_DOCS / "architecture.md", "Glossary") for term in row[0].split(",")]


def test_the_glossary_explains_every_term_it_uses_and_each_once():
    terms = Counter(_terms())
    assert [term for term, times in terms.items() if times > 1] == []
    used = set(re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", prose(_DOCS / "architecture.md")))
    assert sorted(used - terms.keys()) == []


def test_every_term_of_the_glossary_is_used_on_another_page_or_in_the_code():
    files = [*(page for page in _DOCS.rglob("*.md") if page.name != "architecture.md"), *_code()]
    text = " ".join(file.read_text(encoding="utf-8") for file in files)
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|[-_\s]+", " ", text).lower()  # AttemptPlan, attempt_plan, attempt plan
    assert [term for term in _terms() if re.sub(r"[-\s]+", " ", term).lower() not in apart] == []


# -- decisions ----------------------------------------------------------------------------------------


def test_a_decision_is_a_heading_and_a_short_reason():
    for file in sorted((_DOCS / "decisions").glob("[!R]*.md")):
        for decision in file.read_text(encoding="utf-8").split("\n## ")[1:]:
            told = [line for line in decision.splitlines() if not line.startswith("|")]  # a table is for looking up
            assert len(" ".join(told).split()) <= 90, f"{file.name}: {told[0]!r} is too long"
