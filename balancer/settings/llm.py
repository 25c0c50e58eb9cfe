"""`[llm]`: the model, its servers, and a budget."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from balancer.settings.pool import EndpointSettings
from balancer.settings.rules import LimitSettings, RetrySettings
from balancer.settings.tables import HealthSection, Settings
from balancer.values.urls import identity_of
from balancer.values.wording import QUOTES_NOTHING

__all__ = ["LlmBudget", "LlmPrices", "LlmSettings"]

_Count = Annotated[int, Field(ge=1)]
_Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LlmPrices(Settings):
    """`[llm.prices]`: what a million tokens cost, in any currency; 0: nothing.

    Attributes:
        input, output: price of the tokens of questions, and of answers.
    """

    input: _Price = 0.0
    output: _Price = 0.0

    def cost(self, asked: int, answered: int) -> float:
        """Return the cost of a question of `asked` tokens with an answer of `answered` tokens."""
        return (asked * self.input + answered * self.output) / 1e6


class LlmBudget(Settings):
    """`[llm.budget]`: what a run, and each row, may use; None: any amount. It is checked before each call.

    Attributes:
        tokens, row_tokens: tokens of questions and answers together, of the run and of each row.
        cost: money of the run, by `[llm.prices]`.
        seconds: seconds of the run of waiting for answers; parallel calls count each.
    """

    tokens: _Count | None = None
    cost: _Amount | None = None
    seconds: _Amount | None = None
    row_tokens: _Count | None = None


class LlmSettings(Settings):
    """`[llm]`: the model, its servers, and a budget.

    Attributes:
        model: its name on the servers.
        scripted: a folder of prepared answers. The run starts a server for them in place of a model, for trials. Then
            `endpoints` are not needed.
        endpoints: `[[llm.endpoints]]`: base URLs of servers with OpenAI's API, with capacities and headers.
        health, limits, retries: as the tables of these names, for the pool of these endpoints.
        attempts: questions for one usable answer.
        max_output_tokens: the most tokens of one answer.
        timeout_s: seconds for one answer.
        outage_s: while no question is answered, further tries are made for so many seconds.
        prompts: a folder; its files replace built-in prompts of the same name.
        prices, budget: the tables of these names.
    """

    model: Annotated[str, Field(min_length=1)]
    scripted: str | None = None
    endpoints: list[EndpointSettings] = Field(default_factory=list)
    health: HealthSection = HealthSection()
    limits: LimitSettings = LimitSettings()
    retries: RetrySettings = RetrySettings()
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    max_output_tokens: Annotated[int, Field(ge=16)] = 8192
    timeout_s: _Amount = 180.0
    outage_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    prompts: str | None = None
    prices: LlmPrices = LlmPrices()
    budget: LlmBudget = LlmBudget()

    @model_validator(mode="after")
    def _asked(self) -> Self:
        if not self.endpoints and self.scripted is None:
            raise _mistake("[[llm.endpoints]] is missing: name at least one server, by its base URL")
        if self.budget.cost and not (self.prices.input or self.prices.output):
            raise _mistake("[llm.budget] has a cost but [llm.prices] has no price, so no cost is known; set the prices")
        return self

    @model_validator(mode="after")
    def _web_servers(self) -> Self:
        urls = [url for entry in self.endpoints for url in entry.urls]
        for number, entry in enumerate(self.endpoints):
            if not entry.url.lower().startswith(("http://", "https://")):
                raise _mistake(f"[[llm.endpoints]] {number}: its url must begin with http:// or https://")
        if len({identity_of(url) for url in urls}) < len(urls):
            raise _mistake("[[llm.endpoints]]: a server is listed twice; URLs must differ")
        return self


def _mistake(words: str) -> PydanticCustomError:
    """Return an error with this text. It must quote no value, as keys may come from the environment."""
    return PydanticCustomError(QUOTES_NOTHING, "{words}", {"words": words})
