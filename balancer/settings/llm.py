"""`[llm]`: the model, its servers, and a budget."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from balancer.settings.pool import EndpointSettings
from balancer.settings.rules import LimitSettings, RetrySettings
from balancer.settings.tables import HealthSection, Settings
from balancer.values.urls import identity_of
from balancer.values.wording import QUOTES_NOTHING

__all__ = ["LlmBudget", "LlmSettings"]

_Count = Annotated[int, Field(ge=1)]
_Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LlmBudget(Settings):
    """`[llm.budget]`: what a run, and each row, may use; None: any amount. It is checked before each call.

    Attributes:
        tokens, row_tokens: tokens of questions and answers together, of the run and of each row.
    """

    tokens: _Count | None = None
    row_tokens: _Count | None = None


class LlmSettings(Settings):
    """`[llm]`: the model, its servers, and a budget.

    Attributes:
        model: its name on the servers.
        scripted: a folder of prepared answers. The run starts a server for them in place of a model, for trials. Then
            `endpoints` are not needed.
        endpoints: `[[llm.endpoints]]`: base URLs of servers with OpenAI's API, with capacities and headers.
        health, limits, retries: as the tables of these names, for the pool of these endpoints.
        max_output_tokens: the most tokens of one answer.
        timeout_s: seconds for one answer.
        prompts: a folder; its files replace built-in prompts of the same name.
        budget: the table of this name.
    """

    model: Annotated[str, Field(min_length=1)]
    scripted: str | None = None
    endpoints: list[EndpointSettings] = Field(default_factory=list)
    health: HealthSection = HealthSection()
    limits: LimitSettings = LimitSettings()
    retries: RetrySettings = RetrySettings()
    max_output_tokens: Annotated[int, Field(ge=16)] = 8192
    timeout_s: _Amount = 180.0
    prompts: str | None = None
    budget: LlmBudget = LlmBudget()

    @model_validator(mode="after")
    def _web_servers(self) -> Self:
        urls = [url for entry in self.endpoints for url in entry.urls]
        if not urls and self.scripted is None:
            raise _mistake("[[llm.endpoints]] is missing: name at least one server, by its base URL")
        for number, entry in enumerate(self.endpoints):
            if not entry.url.lower().startswith(("http://", "https://")):
                raise _mistake(f"[[llm.endpoints]] {number}: its url must begin with http:// or https://")
        if len({identity_of(url) for url in urls}) < len(urls):
            raise _mistake("[[llm.endpoints]]: a server is listed twice; URLs must differ")
        return self


def _mistake(words: str) -> PydanticCustomError:
    """Return an error with this text. It must quote no value, as keys may come from the environment."""
    return PydanticCustomError(QUOTES_NOTHING, "{words}", {"words": words})
