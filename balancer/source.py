"""Sources: where the endpoints of a pool are listed while it works, such as a file, DNS or Kubernetes.

A source only says what is there. `balancer.discovery` decides what a pool makes of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from balancer.endpoint import Endpoint
from balancer.errors import BalancerError
from balancer.values.headers import Headers

if TYPE_CHECKING:
    from balancer.settings.strategy_options import StrategyOptions

__all__ = ["EndpointTemplate", "Source", "SourceAnswer", "SourceError", "checked_answer"]

_MOST: Final = 10_000  # endpoints of an answer: more are a mistake, or a lie
_NOT_SERVERS: Final = ("local://", "file://")  # else whoever writes the list could run programs on this machine


class SourceError(BalancerError):
    """A source gave no answer, or one that cannot be used. The text is one line and shows no secret."""


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What a source says at one time.

    Attributes:
        wanted: the endpoints that there are; none: the answer is empty, which no pool believes.
        gone: names of endpoints that the source itself says are going, e.g. pods that end. They leave at once.
        again_s: seconds until the source should be asked again (>= 0).
    """

    wanted: tuple[Endpoint, ...]
    gone: frozenset[str] = frozenset()
    again_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EndpointTemplate:
    """What the endpoints of a source have unless the source says otherwise. The fields are those of `Endpoint`.

    Args:
        scheme: of the URL of an address.
        path: what follows the port in the URL of an address, e.g. "/v1".
    """

    scheme: str = "http"
    path: str = ""
    capacity: int = 1
    weight: float = 1.0
    labels: frozenset[str] = frozenset()
    group: int = 0
    quota: str | None = None
    headers: Mapping[str, str] = Headers()

    def url(self, host: str, port: int) -> str:
        """Return the URL of an address. `host` may be a name, or an IP address of either version."""
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}{self.path}"

    def endpoint(self, url: str, *, labels: Iterable[str] = (), weight: float = 1.0, **said: Any) -> Endpoint:
        """Return the endpoint at `url`. Its `weight` is multiplied, its `labels` are added, the rest is as `said`.

        Raises:
            SourceError: it is no valid endpoint.
        """
        usual: dict[str, Any] = {
            "capacity": self.capacity,
            "group": self.group,
            "quota": self.quota,
            "headers": self.headers,
        }
        try:
            return Endpoint(
                url,
                weight=self.weight * weight,
                labels=self.labels | frozenset(labels),
                **usual | {name: value for name, value in said.items() if value is not None},
            )
        except (TypeError, ValueError) as error:
            raise SourceError(f"it lists what is no endpoint: {error}") from None


class Source(ABC):
    """A list of endpoints that changes. Subclass it for a source of your own.

    A discovery calls `look` in a thread of its own, again and again, and `close` from another thread.

    Args:
        options: an instance of `Options`.
        template: makes endpoints of what the source lists.

    Attributes:
        name: its name in configs.
        Options: a pydantic model of its options.
        extra: the extra that it needs; None: none.
    """

    name: ClassVar[str]
    Options: ClassVar[type["StrategyOptions"]]
    extra: ClassVar[str | None] = None

    def __init__(self, options: Any, template: EndpointTemplate) -> None:
        self.options = options
        self.template = template

    @abstractmethod
    def look(self) -> SourceAnswer | None:
        """Return what is there now; None: the same as before. It may wait for a change, for a minute or so.

        Raises:
            SourceError: there is no answer. It is called again after a pause.
        """

    def close(self) -> None:  # noqa: B027, most sources do not wait
        """End a `look` that waits. It is the last call."""


def checked_answer(answer: SourceAnswer) -> SourceAnswer:
    """Return `answer` if it is not too long, and lists servers of different names. Raises SourceError."""
    if len(answer.wanted) > _MOST:
        raise SourceError(f"it lists {len(answer.wanted)} endpoints; at most {_MOST} are believed")
    found: dict[str, Endpoint] = {}
    for each in answer.wanted:
        if each.url.lower().startswith(_NOT_SERVERS):
            raise SourceError(
                f"it lists {each.url}, which is no server; only a config may list what is on this machine"
            )
        if found.setdefault(each.identity, each) != each:
            raise SourceError(f"it lists two endpoints with the name {each.name}; give each a name of its own")
    return answer
