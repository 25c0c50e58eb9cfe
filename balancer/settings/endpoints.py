"""Endpoint entries of a file: the keys that configs and scenarios share.

An entry with a range stands for several endpoints. `Endpoint` has the rules for each.
"""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from balancer.endpoint import Prices
from balancer.settings.tables import CheckedInPython, Settings
from balancer.values.numbers import positive, whole
from balancer.values.urls import checked_url, expand_range, has_credentials

__all__ = ["Capacity", "EndpointTable", "PriceSettings", "Weight"]

Capacity = Annotated[int, BeforeValidator(whole)]
Weight = Annotated[float, BeforeValidator(positive)]


def _checked(url: str) -> str:
    if has_credentials(url):  # first, so that no other message quotes credentials
        raise PydanticCustomError("credentials", 'put credentials in [endpoints.headers], as "${NAME}"')
    for each in expand_range(url):
        checked_url(each)
    return url


_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PriceSettings(CheckedInPython):
    """`[endpoints.prices]`: what the calls of an endpoint cost, in any currency; 0: nothing.

    Attributes:
        call: for a call that succeeds.
        second: for a second of a slot, while a lease has it.
        input, output: for a million tokens, of requests and of answers, as calls report them.
    """

    call: _Price = 0.0
    second: _Price = 0.0
    input: _Price = 0.0
    output: _Price = 0.0

    @property
    def spec(self) -> Prices:
        """The prices as an endpoint takes them."""
        return Prices(call=self.call, second=self.second, input=self.input, output=self.output)


class EndpointTable(Settings):
    """One endpoint or, with ranges in its URL, several."""

    url: Annotated[str, AfterValidator(_checked)]
    capacity: Capacity = 1
    weight: Weight = 1.0
    labels: list[str] = Field(default_factory=list)
    host: str | None = None
    group: Annotated[int, Field(ge=0)] = 0
    quota: Annotated[str, Field(min_length=1)] | None = None
    prices: PriceSettings | None = None

    @property
    def urls(self) -> list[str]:
        """The URLs of this entry."""
        return expand_range(self.url)

    @property
    def price_list(self) -> Prices | None:
        """The prices as an endpoint takes them."""
        return None if self.prices is None else self.prices.spec
