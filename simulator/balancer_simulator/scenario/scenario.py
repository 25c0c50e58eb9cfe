"""Scenarios: all that decides a simulation except the strategy's choices, from TOML or Python.

A scenario is free of contradictions. The same scenario always gives the same numbers.
"""

from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from balancer.errors import ConfigError
from balancer.observing.traces import read_trace
from balancer.observing.traces.files import begins_a_trace
from balancer.settings.tables import problems_of, read_toml
from balancer_simulator.scenario.contradictions import problems_in
from balancer_simulator.scenario.fields import ScenarioFields
from balancer_simulator.scenario.workload import Arrivals, Batch, Closed, Poisson

__all__ = ["Scenario", "load_scenario", "validated_scenario"]


class Scenario(ScenarioFields):
    """A whole scenario, whose keys fit together. `ScenarioFields` has all keys."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := problems_in(self):
            raise ValueError("\n".join(problems))
        return self

    def at_load(self, load: float) -> "Scenario":
        """Return this scenario with Poisson arrivals at `load` times the rate that the endpoints could finish.

        Raises:
            ConfigError: the workload is not open, so it has no load.
        """
        if isinstance(self.workload, Closed | Batch):
            raise ConfigError(
                f"loads: a {self.workload.kind} workload has no offered load; use poisson, on_off or arrivals"
            )
        if self.has_prompts:
            raise ConfigError("loads: the load of prompts depends on what is cached; vary the workload instead")
        return self.changed(workload=Poisson(rate_per_s=load * self.rate), loads=[])

    def changed(self, **values: Any) -> "Scenario":
        """Return a copy with other values, validated. Raises ConfigError."""
        unchanged = {name: getattr(self, name) for name in type(self).model_fields if name not in values}
        return validated_scenario({**unchanged, **values}, "the scenario")


def load_scenario(path: str | PathLike[str]) -> Scenario:
    """Read the TOML file at `path`.

    Raises:
        ConfigError: with one line for each thing to fix: file, key, what was found, what is allowed.
    """
    try:
        raw = read_toml(path)
    except ConfigError:
        is_trace = False
        with suppress(OSError):
            is_trace = begins_a_trace(path)
        if is_trace:
            raise ConfigError(f"{path}: this is a trace; fit it first: balancer fit {path} --out fitted.toml") from None
        raise
    if alien := sorted({"pool", "pipeline"} & set(raw)):
        raise ConfigError(
            f"{path}: this is a run config, for balancer run: it has [{alien[0]}]; a scenario has [workload] and "
            "[[endpoints]], see docs/simulator.md"
        )
    scenario = validated_scenario(raw, str(path))
    if not isinstance(scenario.workload, Arrivals):
        return scenario
    try:
        return scenario.changed(workload=_recorded(scenario.workload, Path(path).parent))
    except OSError as error:
        raise ConfigError(f"{path}: workload.file: {error.filename} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: workload.file: {line}" for line in problems_of(error, Arrivals)) from None
    except ValueError as error:
        raise ConfigError(f"{path}: workload.file: {error}") from None


def validated_scenario(raw: Mapping[str, Any], name: str) -> Scenario:
    """Return the scenario with these keys and values. Raises ConfigError, with a line for each thing to fix."""
    try:
        return Scenario.model_validate(dict(raw))
    except ValidationError as error:
        raise ConfigError(f"{name}: {line}" for line in problems_of(error, Scenario)) from None


def _recorded(workload: Arrivals, folder: Path) -> Arrivals:
    """Return `workload` with the content of its `file`, a trace, which is relative to `folder`.

    The work of each call that succeeded is the time that its lease was held. Its key is its session and its prompt.

    Raises:
        ValueError, ConfigError: a line is not as it must be.
        OSError: it cannot be read.
    """
    if workload.file is None:
        return workload
    path = folder / workload.file
    if not begins_a_trace(path):
        raise ValueError(
            f"{path}: is no trace; make one of it: balancer fit --summary {path} --from csv --out trace.jsonl"
        )
    calls = [attempt for attempt in read_trace(path).attempts if attempt.outcome in (None, "success")]
    runs = {call.run for call in calls}
    if len(runs) != 1:
        raise ValueError(f"{path}: has calls that succeeded of {len(runs)} runs; give a trace of one run")
    calls.sort(key=lambda call: call.asked_s)
    keys = [call.key or "" for call in calls]
    named: dict[str, Any] = {"prompts": keys, "sessions": keys} if any(keys) else {}
    at_s = [call.asked_s - calls[0].asked_s for call in calls]
    # Not a constructor call: a mistake is one of the file, not of Python code.
    return Arrivals.model_validate({"at_s": at_s, "work_s": [call.held_s for call in calls], **named})
