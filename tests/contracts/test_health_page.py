"""docs/health.md shows the states as they are."""

from balancer.core.states import SHOWN
from balancer.settings.rules import HealthSettings, LimitSettings
from balancer.settings.tables import keys_of
from tests.contracts.documents import ROOT, blocks
from tests.contracts.made_pages import diagrams

PAGE = ROOT / "docs" / "health.md"


def test_the_diagrams_are_those_of_the_code():
    assert [block.code for block in blocks(PAGE) if block.language == "mermaid"] == diagrams()


def test_every_state_is_explained():
    text = PAGE.read_text()
    for state in SHOWN:
        assert f"- `{state}`: " in text


def test_every_setting_is_explained():
    text = PAGE.read_text()
    for settings in (HealthSettings, LimitSettings):
        for name in keys_of(settings):
            assert f"`{name}" in text, name
