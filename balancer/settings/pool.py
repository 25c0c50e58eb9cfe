"""`[pool]`, `[[endpoints]]` and `[discovery]` of a config: the endpoints, and how one is chosen."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from balancer.endpoint import Endpoint
from balancer.settings import DEFAULT_STRATEGY
from balancer.settings.endpoints import Capacity, EndpointTable, Weight
from balancer.settings.tables import CheckedInPython, Settings
from balancer.values.headers import Headers
from balancer.values.urls import checked_server_url, expand_range

__all__ = ["DiscoverySettings", "EndpointSettings", "PoolSection"]


class PoolSection(Settings):
    """`[pool]`: how endpoints are chosen and waited for. `balancer serve` may serve the pool elsewhere.

    Attributes:
        strategy: chooses the next endpoint; `balancer strategies` lists them.
        options: the strategy's options.
        acquire_timeout_s: seconds an acquire waits by default; absent: for ever.
        ttl_s: seconds after which the pool ends a lease that was not released; absent: never.
        leak_after_s: seconds after which a lease that was not released is logged, once; absent: never.
        spill_after_s: seconds for which a failover group may be full before the next one is used; absent: any time.
        max_waiters: acquires that may wait at once; one more fails; absent: any number.
        fairness: "holder": the slots are shared out between the holders that wait, by the weights in `[holders]`;
            absent: waiters are served in the order of their claims, whoever made them.
        seed: makes the strategy's random choices repeatable; absent: a random seed.
        connect: the server, as balancer://host:port or, over TLS, balancers://host:port. Then the server has the
            endpoints, the strategy and the rules. Absent: a pool of this process alone.
        token_file: the file with the server's token; absent: the environment variable BALANCER_SERVE_TOKEN.
        ca: a PEM file with the trusted certificates for TLS; absent: those of the system.
    """

    strategy: str = DEFAULT_STRATEGY
    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    acquire_timeout_s: Annotated[float, Field(gt=0)] | None = None
    ttl_s: Annotated[float, Field(gt=0)] | None = None
    leak_after_s: Annotated[float, Field(gt=0)] | None = None
    spill_after_s: Annotated[float, Field(ge=0)] | None = None
    max_waiters: Annotated[int, Field(ge=0)] | None = None
    fairness: Literal["holder"] | None = None
    seed: int | None = None
    connect: Annotated[str, Field(min_length=1)] | None = None
    token_file: Annotated[str, Field(min_length=1)] | None = None
    ca: Annotated[str, Field(min_length=1)] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The keys that are arguments of a pool, which have the same names."""
        return {name: getattr(self, name) for name in type(self).model_fields if name not in _OF_A_SERVER}


_OF_A_SERVER = ("connect", "token_file", "ca")


class TraceSettings(Settings):
    """`[trace]`: a file with a row for each call of the pool and each change.

    Attributes:
        path: its path; an existing file is appended to.
    """

    path: Annotated[str, Field(min_length=1)]


def _checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    try:
        _secret(headers)
    except ValueError as error:  # its text names a header, and quotes no value
        raise PydanticCustomError("header", "{why}", {"why": str(error)}) from None
    return headers


def _secret(headers: dict[str, SecretStr]) -> Headers:
    return Headers({name: value.get_secret_value() for name, value in headers.items()})


_Headers = Annotated[dict[str, SecretStr], AfterValidator(_checked_headers)]


class EndpointSettings(EndpointTable):
    """`[[endpoints]]`: one server or, with ranges in its URL, several.

    Attributes:
        url: its address, with ranges such as {1..4} for several.
        name: its name in the pool; absent: its URL. With a range in `url`, `name` needs a range of the same size.
        capacity: how many leases may be out at once.
        weight: its share of the work, for strategies that use weights.
        labels: what it offers. A request with labels goes only to endpoints that have them all.
        host: the machine it runs on; absent: the host part of `url`.
        group: its failover group; a higher one is used only when the lower ones cannot serve.
        quota: the entry of `[quotas]` that its calls count for; absent: none.
        headers: sent with every request of an http endpoint, and given to the caller with the lease; never shown.
        languages: the languages of its programs; absent: each is tested once with a tiny program when it is first
            needed, of those that the server reports, or that are installed for a local one.
        isolation: how a `local://` endpoint keeps programs apart from the machine: "auto", "bubblewrap", "unshare" or
            "rlimits" (not at all).
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    headers: _Headers = Field(default_factory=dict)
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
                f"name: the url stands for {urls} endpoints and the name for {names}; names must differ, so give the "
                f'name a range of {urls}, such as name = "a-{{1..{urls}}}", or leave the name out'
            )
        return self

    @property
    def names(self) -> list[str]:
        """The names of the endpoints of this entry."""
        return self.urls if self.name is None else expand_range(self.name)

    @property
    def specs(self) -> list[Endpoint]:
        """The endpoints of this entry, as a pool takes them."""
        said = self.model_dump(include={"capacity", "weight", "host", "group", "quota"})
        said |= {"labels": frozenset(self.labels), "headers": _secret(self.headers)}
        return [Endpoint(url, name=name, **said) for url, name in zip(self.urls, self.names, strict=True)]


class DiscoverySettings(CheckedInPython):
    """`[discovery.NAME]`: a source of endpoints, which come and go.

    Attributes:
        source: the kind of source: "file", "dns", or one of a plugin.
        options: the options of the source.
        grace_s: seconds for which an endpoint must be missing until it leaves.
        wait_s: seconds to wait for the first answer at the start.
        scheme: of the URL of an address.
        path: what follows the port in the URL of an address, e.g. "/v1".
        capacity, weight, labels, group, quota, headers: as in `[[endpoints]]`, unless the source says otherwise.
    """

    source: Annotated[str, Field(min_length=1, examples=["file"])]
    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    grace_s: Annotated[float, Field(ge=0)] = 10.0
    wait_s: Annotated[float, Field(ge=0)] = 10.0
    scheme: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*$")] = "http"
    path: Annotated[str, Field(pattern=r"^(/.*)?$")] = ""
    capacity: Capacity = 1
    weight: Weight = 1.0
    labels: list[str] = Field(default_factory=list)
    group: Annotated[int, Field(ge=0)] = 0
    quota: Annotated[str, Field(min_length=1)] | None = None
    headers: _Headers = Field(default_factory=dict)

    @property
    def secret_headers(self) -> Headers:
        """The headers as an endpoint takes them."""
        return _secret(self.headers)
