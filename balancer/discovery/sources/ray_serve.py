"""Ray Serve: the HTTP proxies of a cluster, one a node, by the REST API of its dashboard."""

from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from balancer.discovery.http_api import HttpApi
from balancer.hookspecs import hookimpl
from balancer.settings.strategy_options import StrategyOptions
from balancer.source import EndpointTemplate, Source, SourceAnswer, SourceError

__all__ = ["RayServeSource"]

_WITHIN_S: Final = 10.0
_LEAVING: Final = ("DRAINING", "DRAINED")


class _Proxy(BaseModel):
    node_ip: str
    status: str


class _HttpOptions(BaseModel):
    port: int = 8000


class _Details(BaseModel):
    proxies: dict[str, _Proxy]
    http_options: _HttpOptions | None = None


class RayServeSource(Source):
    """The healthy proxies. One that drains is gone."""

    name = "ray_serve"

    class Options(StrategyOptions):
        """Options.

        Attributes:
            url: of the dashboard.
            every_s: seconds between two questions.
        """

        url: str = "http://127.0.0.1:8265"
        every_s: Annotated[float, Field(gt=0)] = 5.0

    options: Options

    def __init__(self, options: Options, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        self._api = HttpApi(options.url)

    def look(self) -> SourceAnswer:
        """Ask for the proxies."""
        _, said = self._api.get("/api/serve/applications/", {}, within_s=_WITHIN_S)
        try:
            details = _Details.model_validate(said)
        except ValidationError:
            raise SourceError("the dashboard of Ray answers in a form that is not known") from None
        port = (details.http_options or _HttpOptions()).port
        at = {key: self.template.url(proxy.node_ip, port) for key, proxy in details.proxies.items()}
        status = {key: proxy.status.upper() for key, proxy in details.proxies.items()}
        return SourceAnswer(
            tuple(self.template.endpoint(at[key]) for key in at if status[key] == "HEALTHY"),
            frozenset(at[key] for key in at if status[key] in _LEAVING),
            self.options.every_s,
        )

    def close(self) -> None:
        """End a request."""
        self._api.close()


@hookimpl
def balancer_sources() -> list[type[Source]]:
    """Offer this source."""
    return [RayServeSource]
