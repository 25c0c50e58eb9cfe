"""Providers: make endpoints on demand, on an account with limits, such as hosted sandboxes.

A provider only makes and destroys. `balancer.provisioning` decides when.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from balancer.endpoint import Endpoint
from balancer.errors import BalancerError
from balancer.source import EndpointTemplate

if TYPE_CHECKING:
    from balancer.settings.strategy_options import StrategyOptions

__all__ = ["Instance", "Provider", "ProviderError"]


class ProviderError(BalancerError):
    """A provider did not do what it was asked for. The text is one line and shows no secret.

    Args:
        text: what was found, and where.
        refused: True if the account refuses, e.g. for a wrong key. Then calls without an endpoint fail at once.
        after_s: seconds after which the provider wants to be asked again; 0: it did not say.
    """

    def __init__(self, text: str, *, refused: bool = False, after_s: float = 0.0) -> None:
        super().__init__(text)
        self.refused = refused
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Instance:
    """What a provider has made.

    Attributes:
        id: its id at the provider; no secret, as logs show it.
        endpoint: as a pool takes it. The pool gives it the name ACCOUNT/id.
        lives_s: seconds from its creation for which it gets new leases. Then it is replaced.
    """

    id: str
    endpoint: Endpoint
    lives_s: float = inf


class Provider(ABC):
    """Makes endpoints on one account. Subclass it for a provider of your own.

    Every method may be called from several threads at once, and must end within a minute or so.

    Args:
        options: an instance of `Options`.
        template: makes the endpoints.

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
    def create(self, label: str, key: str) -> Instance:
        """Make one, and store both texts with it, so that `find` finds it. Each creation has another key.

        Raises:
            ProviderError: it was not made, or that is not known.
        """

    def ready(self, instance: Instance) -> bool:
        """Return whether calls may be sent to it. It is asked again until then. Raises ProviderError: it never will."""
        return True

    @abstractmethod
    def destroy(self, id: str) -> None:
        """Destroy one, and return when it no longer counts. One that does not exist is no error.

        Raises:
            ProviderError: it may still exist. It is asked again.
        """

    @abstractmethod
    def find(self, label: str) -> Mapping[str, str]:
        """Return the keys of all that exist with this label, by id, whoever has made them. Raises ProviderError."""

    def close(self) -> None:  # noqa: B027, most providers have nothing to close
        """Close connections and the like. It is the last call."""
