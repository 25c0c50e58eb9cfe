"""docs/health.md shows the states as they are."""

from balancer.core.states import TRANSITIONS, Health
from balancer.settings.rules import HealthSettings, LimitSettings
from balancer.settings.tables import keys_of
from tests.contracts.documents import ROOT, blocks
from tests.contracts.health_page import diagram

PAGE = ROOT / "docs" / "health.md"


def test_the_diagram_is_that_of_the_code() -> None:
    assert [block.code for block in blocks(PAGE) if block.language == "mermaid"] == [diagram()]


def test_every_state_is_explained_and_can_be_reached_and_left() -> None:
    text = PAGE.read_text()
    for state in Health:
        assert f"- `{state.value}`: " in text
        assert any(before is state for before, _ in TRANSITIONS)
        assert any(after is state for after in TRANSITIONS.values())


def test_every_setting_is_explained() -> None:
    text = PAGE.read_text()
    for settings in (HealthSettings, LimitSettings):
        for name in keys_of(settings):
            assert f"`{name}" in text, name
