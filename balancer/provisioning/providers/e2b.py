"""E2B: hosted sandboxes, by the REST API of the platform.

Version read: E2B API 0.1.0, the OpenAPI document of https://github.com/e2b-dev/infra (spec/openapi.yml, 2026).
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from pydantic import BaseModel, Field, SecretStr, ValidationError

from balancer.discovery.http_api import HttpApi, HttpStatus
from balancer.hookspecs import hookimpl
from balancer.provider import Instance, Provider, ProviderError
from balancer.settings.strategy_options import StrategyOptions
from balancer.source import EndpointTemplate, SourceError

__all__ = ["E2bProvider"]

_WITHIN_S: Final = 60.0
_READY_S: Final = 5.0
_LABEL, _KEY = "balancer-label", "balancer-key"  # of a sandbox's metadata
_PAGE: Final = 100
_MOST_PAGES: Final = 100
_REFUSALS: Final = (400, 401, 402, 403, 404)  # they come again until somebody changes something
_BUSY: Final = 429
_LEASED: Final = 0.9  # of its life: the rest is for the last leases
_TRAFFIC: Final = "e2b-traffic-access-token"


class _Made(BaseModel):
    id: str = Field(alias="sandboxID")
    domain: str | None = None
    token: str | None = Field(default=None, alias="trafficAccessToken")


class _Listed(BaseModel):
    id: str = Field(alias="sandboxID")
    metadata: dict[str, str] | None = None


class E2bProvider(Provider):
    """Sandboxes of one template. A server in it answers at `port`."""

    name = "e2b"

    class Options(StrategyOptions):
        """Options.

        Attributes:
            template: the id or alias of the template. It must start the server.
            api_key: of the team.
            port: at which the server in a sandbox listens.
            path: what follows the port in the URL of an endpoint.
            ready: the path that a server answers, with any status below 500, once it is ready.
            timeout_s: the life of a sandbox. The platform ends it then by itself, whoever has died.
            private: True: only who has the token of a sandbox reaches it; the token is a header of its endpoint.
            env: environment variables in a sandbox.
            internet: False: programs in a sandbox reach no other host.
            url: of the API.
            address: the URL of a server in a sandbox, with {port}, {id} and {domain}.
        """

        template: Annotated[str, Field(min_length=1)]
        api_key: SecretStr
        port: Annotated[int, Field(ge=1, le=65535)] = 8080
        path: Annotated[str, Field(pattern=r"^(/.*)?$")] = ""
        ready: Annotated[str, Field(pattern=r"^/")] = "/"
        timeout_s: Annotated[int, Field(ge=10)] = 3600
        private: bool = True
        env: Annotated[dict[str, SecretStr], Field(default_factory=dict)]
        internet: bool = True
        url: str = "https://api.e2b.app"
        address: str = "https://{port}-{id}.{domain}"

    options: Options

    def __init__(self, options: Options, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        self._tls = ssl.create_default_context()  # one for all requests, as it is slow to make
        try:
            self._api()
            self._address("x", "e2b.app")
        except (SourceError, KeyError, IndexError, ValueError) as error:
            known = str(error) if isinstance(error, SourceError) else "address takes {port}, {id} and {domain} only"
            raise ProviderError(known) from None

    def create(self, label: str, key: str) -> Instance:
        """Make a sandbox."""
        options = self.options
        wanted: dict[str, Any] = {
            "templateID": options.template,
            "timeout": options.timeout_s,
            "metadata": {_LABEL: label, _KEY: key},
            "allow_internet_access": options.internet,
            "network": {"allowPublicTraffic": not options.private},
        }
        if options.env:
            wanted["envVars"] = {name: value.get_secret_value() for name, value in options.env.items()}
        with _told():
            _, said = self._api().ask("POST", "/sandboxes", {}, within_s=_WITHIN_S, send=wanted, good=201)
        made = _read(_Made, said)
        headers = dict(self.template.headers)
        if options.private:
            if made.token is None:
                raise ProviderError("E2B gave no token for a private sandbox; set private = false")
            headers[_TRAFFIC] = made.token
        address = self._address(made.id, made.domain or "e2b.app")
        try:
            endpoint = self.template.endpoint(address + options.path, headers=headers)
        except SourceError as error:
            raise ProviderError(f"the address of a sandbox: {error}") from None
        return Instance(made.id, endpoint, _LEASED * options.timeout_s)

    def ready(self, instance: Instance) -> bool:
        """Return whether the server in the sandbox answers."""
        url = instance.endpoint.url.removesuffix(self.options.path) if self.options.path else instance.endpoint.url
        server = HttpApi(url, tls=self._tls, headers=lambda: instance.endpoint.headers)
        try:
            return server.status(self.options.ready, within_s=_READY_S) < 500
        except SourceError:
            return False

    def destroy(self, id: str) -> None:
        """Kill a sandbox."""
        with _told(absent=True):
            self._api().ask("DELETE", f"/sandboxes/{quote(id, safe='')}", {}, within_s=_WITHIN_S, good=204)

    def find(self, label: str) -> Mapping[str, str]:
        """List the sandboxes with this label, also paused ones."""
        found: dict[str, str] = {}
        query: dict[str, str | int] = {
            "metadata": urlencode({_LABEL: label}),
            "state": "running,paused",
            "limit": _PAGE,
        }
        for _ in range(_MOST_PAGES):
            with _told():
                headers, said = self._api().get("/v2/sandboxes", query, within_s=_WITHIN_S)
            if not isinstance(said, list):
                raise ProviderError("E2B answers in a form that is not known")
            for each in (_read(_Listed, one) for one in said):
                metadata = each.metadata or {}
                if metadata.get(_LABEL) == label:  # whatever the filter did
                    found[each.id] = metadata.get(_KEY, "")
            further = headers.get("x-next-token", "")
            if not further:
                return found
            query["nextToken"] = further
        raise ProviderError(f"E2B lists more than {_MOST_PAGES * _PAGE} sandboxes")

    def _api(self) -> HttpApi:
        """Return the API. Each request has its own, as requests are made in several threads."""
        key = self.options.api_key.get_secret_value()
        return HttpApi(self.options.url, tls=self._tls, headers=lambda: {"X-API-Key": key})

    def _address(self, id: str, domain: str) -> str:
        return self.options.address.format(port=self.options.port, id=id, domain=domain)


@contextmanager
def _told(*, absent: bool = False) -> Iterator[None]:
    """Raise errors of the API as ProviderError. `absent`: a sandbox that does not exist is none."""
    try:
        yield
    except HttpStatus as error:
        if absent and error.status == 404:
            return
        why = ": the account has reached a limit" if error.status == _BUSY else ""
        raise ProviderError(f"E2B: {error}{why}", refused=error.status in _REFUSALS, after_s=error.after_s) from None
    except SourceError as error:
        raise ProviderError(f"E2B: {error}") from None


def _read(model: Any, said: object) -> Any:
    """Return an answer as `model`. Raises ProviderError, which quotes nothing: there may be tokens in it."""
    try:
        return model.model_validate(said)
    except ValidationError:
        raise ProviderError("E2B answers in a form that is not known") from None


@hookimpl
def balancer_providers() -> list[type[Provider]]:
    """Offer this provider."""
    return [E2bProvider]
