"""`[pool]` and `[[endpoints]]` of a config: how endpoints are chosen, and which there are.

Decides names, defaults and ranges, for a pool of any servers. It must not know what the servers are for.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from balancer.endpoint import Endpoint
from balancer.settings.endpoints import EndpointTable
from balancer.settings.rules import DEFAULT_STRATEGY
from balancer.settings.tables import Settings
from balancer.values.headers import Headers
from balancer.values.urls import checked_server_url, expand_range

__all__ = ["EndpointSettings", "PoolSection", "PoolSettings"]


class PoolSettings(Settings):
    """`[pool]`: how endpoints are chosen and waited for.

    Attributes:
        strategy: which endpoint is next; `balancer strategies` lists them.
        options: the strategy's own.
        acquire_timeout_s: seconds an acquire waits unless it says otherwise; absent: for ever.
        ttl_s: seconds after which a lease that was not given back is ended; absent: never.
        leak_after_s: seconds after which a lease that was not given back is logged, once; absent: never.
        spill_after_s: seconds for which a failover group may be full before the next one is used; absent: any time.
        max_waiters: acquires that may wait at once; one more fails; absent: any number.
        seed: makes the strategy's random choices repeatable; absent: a random seed.
    """

    strategy: str = DEFAULT_STRATEGY
    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    acquire_timeout_s: Annotated[float, Field(gt=0)] | None = None
    ttl_s: Annotated[float, Field(gt=0)] | None = None
    leak_after_s: Annotated[float, Field(gt=0)] | None = None
    spill_after_s: Annotated[float, Field(ge=0)] | None = None
    max_waiters: Annotated[int, Field(ge=0)] | None = None
    seed: int | None = None


class PoolSection(PoolSettings):
    """`[pool]` of a whole config: it may be served elsewhere, by `balancer serve`.

    Attributes:
        connect: where, as balancer://host:port or, over TLS, balancers://host:port: then endpoints, strategy and rules
            are the server's. Absent: it is a pool of this process alone.
        token_file: the file with the token that the server wants; absent: the environment's BALANCER_SERVE_TOKEN.
        ca: a PEM file with the certificates that are trusted for TLS; absent: those of the system.
    """

    connect: Annotated[str, Field(min_length=1)] | None = None
    token_file: Annotated[str, Field(min_length=1)] | None = None
    ca: Annotated[str, Field(min_length=1)] | None = None


class TraceSettings(Settings):
    """`[trace]`: a file that says what the pool did, call by call.

    Attributes:
        path: where it is written; a file that is there is appended to.
    """

    path: Annotated[str, Field(min_length=1)]


def _checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    try:
        Headers(_plain(headers))
    except ValueError as error:  # it names a header, and quotes no value
        raise PydanticCustomError("header", "{why}", {"why": str(error)}) from None
    return headers


def _plain(headers: dict[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


class EndpointSettings(EndpointTable):
    """`[[endpoints]]`: one server or, with ranges in its URL, several.

    Attributes:
        url: where it is, with ranges such as {1..4} for several.
        name: what it is called in the pool; absent: its URL. A range in `url` asks for one of as many in `name`.
        capacity: leases out at once.
        weight: its share of the work, for strategies that look at weights.
        labels: what it offers; a request for labels is served only by endpoints that have them all.
        host: the machine it runs on; absent: the host part of `url`.
        group: its failover group; a higher one is used only when the lower ones cannot serve.
        quota: the entry of `[quotas]` that its calls count for; absent: `[quotas."*"]`, if there is one.
        headers: sent with every request of an http endpoint, and given to the caller with the lease; never shown.
        languages: what its programs may be written in; absent: each is tried once with a tiny program when it is first
            needed, of those that the server says that it has, or that are installed for a local one.
        isolation: how a `local://` endpoint keeps programs apart from the machine: "auto", "bubblewrap", "unshare" or
            "rlimits" (not at all).
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    headers: Annotated[dict[str, SecretStr], AfterValidator(_checked_headers)] = Field(default_factory=dict)
    languages: Annotated[list[str], Field(min_length=1)] | None = None
    isolation: Literal["auto", "bubblewrap", "unshare", "rlimits"] = "auto"

    @field_validator("url")
    @classmethod
    def _servers(cls, url: str) -> str:
        for each in expand_range(url):
            checked_server_url(each)
        return url

    @model_validator(mode="after")
    def _as_many_names(self) -> Self:
        urls, names = len(self.urls), len(self.names)
        if urls != names:
            raise ValueError(
                f"name: the url stands for {urls} endpoints and the name for {names}; names differ, so give both a "
                f'range of as many, such as name = "a-{{1..{urls}}}", or leave the name out'
            )
        return self

    @property
    def names(self) -> list[str]:
        """The names of the endpoints this entry stands for."""
        return self.urls if self.name is None else expand_range(self.name)

    @property
    def specs(self) -> list[Endpoint]:
        """The endpoints this entry stands for, as a pool takes them."""
        headers = Headers(_plain(self.headers))
        return [
            Endpoint(
                url,
                name=name,
                capacity=self.capacity,
                weight=self.weight,
                labels=frozenset(self.labels),
                host=self.host,
                headers=headers,
                group=self.group,
                quota=self.quota,
            )
            for url, name in zip(self.urls, self.names, strict=True)
        ]
