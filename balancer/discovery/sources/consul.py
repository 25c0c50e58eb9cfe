"""Consul: the instances of a service, by blocking queries of its health API."""

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import BaseModel, Field, SecretStr, ValidationError

from balancer.discovery.http_api import HttpApi
from balancer.endpoint import Endpoint
from balancer.hookspecs import hookimpl
from balancer.settings.strategy_options import StrategyOptions
from balancer.source import EndpointTemplate, Source, SourceAnswer, SourceError

__all__ = ["ConsulSource"]

_PAUSE_S: Final = 0.05  # between two queries, so that a service that always changes costs little
_MAINTENANCE: Final = ("_node_maintenance", "_service_maintenance")
_CRITICAL: Final = "critical"


class _Check(BaseModel):
    CheckID: str = ""
    Status: str = ""


class _Weights(BaseModel):
    Passing: int = 1
    Warning: int = 1


class _Service(BaseModel):
    Address: str = ""
    Port: int
    Tags: list[str] | None = None
    Meta: dict[str, str] | None = None
    Weights: _Weights = _Weights()


class _Node(BaseModel):
    Address: str
    Node: str = ""


class _Instance(BaseModel):
    Node: _Node
    Service: _Service
    Checks: list[_Check] = Field(default_factory=list)


class ConsulSource(Source):
    """The instances of a service that no check calls critical. Its tags are labels."""

    name = "consul"

    class Options(StrategyOptions):
        """Options.

        Attributes:
            service: its name.
            url: of an agent or a server of Consul.
            token: an ACL token that may read the service; or give `token_file`.
            token_file: a file with the token, read anew for each query.
            datacenter: absent: that of the agent.
            tag: only instances with this tag.
            wait_s: how long a query waits for a change.
        """

        service: Annotated[str, Field(min_length=1)]
        url: str = "http://127.0.0.1:8500"
        token: SecretStr | None = None
        token_file: str | None = None
        datacenter: str | None = None
        tag: str | None = None
        wait_s: Annotated[float, Field(ge=1, le=600)] = 60.0

    options: Options

    def __init__(self, options: Options, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        self._api = HttpApi(options.url, headers=self._headers)
        self._index = 0

    def look(self) -> SourceAnswer | None:
        """Return the instances when they have changed; None after `wait_s` without a change."""
        options, index = self.options, self._index
        self._index = 0  # after an error everything is asked for
        query: dict[str, str | int] = {"dc": options.datacenter or "", "tag": options.tag or ""}
        query = {name: value for name, value in query.items() if value}
        if index:
            query |= {"index": index, "wait": f"{options.wait_s:g}s"}
        # A server adds up to a sixteenth to the wait.
        headers, said = self._api.get(
            f"/v1/health/service/{quote(options.service, safe='')}", query, within_s=options.wait_s * 1.0625 + 10.0
        )
        try:
            now = int(headers.get("x-consul-index", 0))
            found = [_Instance.model_validate(each) for each in said]
        except (TypeError, ValueError, ValidationError):
            raise SourceError("Consul answers in a form that is not known") from None
        self._index = max(1, now) if now >= index else 0  # an index that went back is worth nothing
        if index and now == index:
            return None
        wanted, gone = [], set()
        for instance in found:
            endpoint = self._endpoint(instance)
            checks = instance.Checks
            if any(check.CheckID.startswith(_MAINTENANCE) for check in checks):
                gone.add(endpoint.name)
            elif not any(check.Status == _CRITICAL for check in checks):
                wanted.append(endpoint)
        return SourceAnswer(tuple(sorted(wanted, key=lambda each: each.name)), frozenset(gone), _PAUSE_S)

    def close(self) -> None:
        """End a query."""
        self._api.close()

    def _endpoint(self, instance: _Instance) -> Endpoint:
        service = instance.Service
        warned = any(check.Status == "warning" for check in instance.Checks)
        weight = service.Weights.Warning if warned else service.Weights.Passing
        capacity = (service.Meta or {}).get("capacity", "")
        said: dict[str, Any] = {"capacity": int(capacity)} if capacity.isdecimal() else {}
        url = self.template.url(service.Address or instance.Node.Address, service.Port)
        return self.template.endpoint(
            url, labels=service.Tags or (), weight=float(max(1, weight)), host=instance.Node.Node or None, **said
        )

    def _headers(self) -> dict[str, str]:
        options = self.options
        if options.token_file is not None:
            try:
                token = Path(options.token_file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise SourceError(f"token_file {options.token_file}: cannot be read") from None
        else:
            token = options.token.get_secret_value() if options.token else ""
        return {"X-Consul-Token": token} if token else {}


@hookimpl
def balancer_sources() -> list[type[Source]]:
    """Offer this source."""
    return [ConsulSource]
