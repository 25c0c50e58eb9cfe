"""`[proxy]` of a config: how `balancer proxy` passes requests on, and who may send some."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from balancer.settings.tables import Settings
from balancer.values.headers import token_mistake

__all__ = ["ProxySettings", "SessionSettings", "TenantSettings", "tenant_mistakes"]

_Bytes = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TenantSettings(Settings):
    """`[[proxy.tenants]]`: somebody who may send requests.

    Attributes:
        name: shown as the holder of the leases.
        token: what the tenant's clients send, as `Authorization: Bearer TOKEN` or as `X-Api-Key`; at least 16
            characters, e.g. "${TEAM_TOKEN}".
        priority: of the tenant's requests; each level is worth 10 s of waiting.
        labels: the tenant's requests go only to endpoints that have all of these.
        most: how many requests of the tenant may be under way or wait at once; absent: any number.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    token: Annotated[SecretStr, Field(examples=["at-least-16-characters"])]
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    labels: list[str] = Field(default_factory=list)
    most: Annotated[int, Field(ge=1)] | None = None


class SessionSettings(Settings):
    """`[proxy.sessions]`: requests go where their file, conversation or other session lives.

    Attributes:
        ids: beginnings of the ids that answers give, e.g. ["file-", "batch_"]; absent: those of OpenAI's API.
        header: the name of a header of requests or answers that names a session, e.g. "Mcp-Session-Id".
        cookie: the name of a cookie that names a session.
        idle_s: seconds after which a session without requests is forgotten.
        elsewhere: when a request may leave its server: "gone" (it is out of service), "full" (it has no free slot).
    """

    ids: list[Annotated[str, Field(min_length=2)]] | None = None
    header: Annotated[str, Field(min_length=1)] | None = None
    cookie: Annotated[str, Field(min_length=1)] | None = None
    idle_s: _Seconds = 3600.0
    elsewhere: list[Literal["gone", "full"]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if self.ids == [] and self.header is None and self.cookie is None:
            raise ValueError("nothing names a session; give ids, header or cookie")
        return self


class ProxySettings(Settings):
    """`[proxy]`: how `balancer proxy` passes requests on. Sizes are in bytes.

    Attributes:
        attempts: how often a request is sent at most, the first time included.
        deadline_s: seconds for all waits and attempts up to the first byte of an answer; absent: no limit. A request
            may ask for less by its header `Balancer-Deadline`.
        resend: which failed requests are tried elsewhere: "always", "incomplete" (those that no server can have read
            whole) or "unsent". Requests of an idempotent method or with an `Idempotency-Key` always are.
        first_byte_s: seconds for an attempt until its answer begins; then the request is tried elsewhere.
        silent_s: the longest time in which a server may send nothing of an answer.
        models: a request in OpenAI's form goes to endpoints with its `model` as a label, if there are any.
        prompt_key: requests in OpenAI's form whose prompts begin alike have one key for affinity. A header
            `Balancer-Key` counts first.
        prompt_block: for the strategy `prefix`: the key names the beginnings of so many characters, of twice as many
            and so on, up to 64 blocks; absent: one name for the first 1000 characters.
        forwarded: what happens to `X-Forwarded-For`, `-Proto` and `-Host` of a client: "replace" them by what the proxy
            sees, or "extend" them, behind another proxy that can be trusted.
        kept_bytes: a body up to this size is kept, so that the request can be sent again. A larger one is sent once.
        body_bytes: the largest body of a request.
        connections: clients' connections at once; absent: as many as the limit of open files allows.
        grace_s: seconds for the requests under way when the proxy is stopped.
        ca: a PEM file with the certificates that servers of https:// are checked against; absent: those of the system.
        sessions: sends requests where their session lives; absent: anywhere.
        routes: names of plugins' routes that the proxy answers itself.
        tenants: who may send requests; absent: everybody who can connect.
    """

    attempts: Annotated[int, Field(ge=1)] = 3
    deadline_s: _Seconds | None = None
    resend: Literal["always", "incomplete", "unsent"] = "always"
    first_byte_s: _Seconds = 300.0
    silent_s: _Seconds = 600.0
    models: bool = True
    prompt_key: bool = False
    prompt_block: Annotated[int, Field(ge=1)] | None = None
    forwarded: Literal["replace", "extend"] = "replace"
    kept_bytes: _Bytes = 2**20
    body_bytes: _Bytes = 2**30
    connections: Annotated[int, Field(ge=1)] | None = None
    grace_s: Annotated[float, Field(ge=0)] = 30.0
    ca: Annotated[str, Field(min_length=1)] | None = None
    sessions: SessionSettings | None = None
    routes: list[str] = Field(default_factory=list)
    tenants: list[TenantSettings] = Field(default_factory=list)


def tenant_mistakes(tenants: Sequence[TenantSettings]) -> Iterator[str]:
    """Yield a line for each token that could be guessed or not be sent, and for each name or token of two tenants."""
    names: dict[str, int] = {}
    tokens: dict[str, int] = {}
    for number, each in enumerate(tenants):
        token = each.token.get_secret_value()
        if mistake := token_mistake(token):
            yield f"tenants[{number}].token: {mistake}"
        if (first := names.setdefault(each.name, number)) != number:
            yield f"tenants[{number}].name: tenants[{first}] has the same one; the names of tenants must differ"
        if (first := tokens.setdefault(token, number)) != number:
            yield f"tenants[{number}].token: tenants[{first}] has the same one; the tokens of tenants must differ"
