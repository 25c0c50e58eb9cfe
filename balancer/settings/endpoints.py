"""Endpoint entries of a file: the keys that configs and scenarios share.

An entry with a range stands for several endpoints. `Endpoint` has the rules for each.
"""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from balancer.settings.tables import Settings
from balancer.values.numbers import positive, whole
from balancer.values.urls import checked_url, expand_range, has_credentials

__all__ = ["Capacity", "EndpointTable", "Weight"]

Capacity = Annotated[int, BeforeValidator(whole)]
Weight = Annotated[float, BeforeValidator(positive)]


def _checked(url: str) -> str:
    if has_credentials(url):  # first, so that no other message quotes credentials
        raise PydanticCustomError("credentials", 'put credentials in [endpoints.headers], as "${NAME}"')
    for each in expand_range(url):
        checked_url(each)
    return url


class EndpointTable(Settings):
    """One endpoint or, with ranges in its URL, several."""

    url: Annotated[str, AfterValidator(_checked)]
    capacity: Capacity = 1
    weight: Weight = 1.0
    labels: list[str] = Field(default_factory=list)
    host: str | None = None
    group: Annotated[int, Field(ge=0)] = 0
    quota: Annotated[str, Field(min_length=1)] | None = None

    @property
    def urls(self) -> list[str]:
        """The URLs of this entry."""
        return expand_range(self.url)
