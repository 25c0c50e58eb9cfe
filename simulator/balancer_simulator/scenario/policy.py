"""Policies to compare: a strategy with its options, or a baseline."""

from typing import Any, Self

from pydantic import Field, model_validator

from balancer.settings.tables import CheckedInPython

__all__ = ["Policy"]


class Policy(CheckedInPython):
    """A strategy with its options, or one of the baselines; `label` is what tables call it."""

    strategy: str
    options: dict[str, Any] = Field(default_factory=dict)
    label: str = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.label:
            given = ", ".join(f"{name}={value}" for name, value in self.options.items())
            object.__setattr__(self, "label", f"{self.strategy} ({given})" if given else self.strategy)
        return self
