"""Strategy options: the base class of what a strategy can be told."""

from pydantic import BaseModel, ConfigDict

__all__ = ["StrategyOptions"]


class StrategyOptions(BaseModel):
    """Base class of a strategy's options: frozen, and an unknown option is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)
