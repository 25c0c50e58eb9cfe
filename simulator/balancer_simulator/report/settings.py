"""The scenario of a report, as it is written below it: all that is not as usual, and no list that nobody reads.

With it the report can be made again, where no list was cut.
"""

from typing import Any, Final

from balancer.reporting.files import json_text
from balancer_simulator.scenario.scenario import Scenario

__all__ = ["settings_lines"]

_MOST: Final = 24  # values of a list of numbers; a record has thousands


def settings_lines(scenario: Scenario) -> list[str]:
    """Return the scenario as lines of JSON; of a long list of numbers the first few, and how many there are."""
    return json_text(_cut(scenario.to_data())).splitlines()


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if len(value) > _MOST and all(isinstance(item, int | float) for item in value):
        return [*value[:3], f"... {len(value)} values"]
    return [_cut(item) for item in value]
