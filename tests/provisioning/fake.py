"""A provider in memory, whose account a test looks into and breaks."""

import threading
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, ClassVar

from balancer.hookspecs import hookimpl
from balancer.provider import Instance, Provider, ProviderError
from balancer.settings.strategy_options import StrategyOptions
from balancer.source import EndpointTemplate

__all__ = ["FakeAccount", "FakeProvider"]


class FakeAccount:
    """What exists, and what goes wrong.

    Attributes:
        exists: labels and keys, by id.
        asked: how many creations were asked for.
        create: called with the id before the answer to a creation; it may raise or wait.
        is_ready: returns whether an instance is ready.
        destroy: called with the id before an instance is destroyed.
        find: called before the list is answered.
        closed: whether the provider was closed.
    """

    def __init__(self) -> None:
        self.exists: dict[str, tuple[str, str]] = {}
        self.asked = 0
        self.create: Callable[[str], object] = str
        self.is_ready: Callable[[Instance], bool] = lambda instance: True
        self.destroy: Callable[[str], object] = str
        self.find: Callable[[], object] = str
        self.closed = False
        self.lock = threading.Lock()
        self.numbers = count(1)


class FakeProvider(Provider):
    """Makes nothing but entries of a `FakeAccount`."""

    name = "fake"
    account: ClassVar[FakeAccount]

    class Options(StrategyOptions):
        """None."""

    def __init__(self, options: Any, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        self._account = self.account

    def create(self, label: str, key: str) -> Instance:
        account = self._account
        with account.lock:
            account.asked += 1
            id = f"i{next(account.numbers)}"
            account.exists[id] = label, key
        account.create(id)
        return Instance(id, self.template.endpoint(f"http://127.0.0.1/{id}"))

    def ready(self, instance: Instance) -> bool:
        return self._account.is_ready(instance)

    def destroy(self, id: str) -> None:
        self._account.destroy(id)
        self._account.exists.pop(id, None)

    def find(self, label: str) -> Mapping[str, str]:
        self._account.find()
        with self._account.lock:
            return {id: key for id, (its, key) in self._account.exists.items() if its == label}

    def close(self) -> None:
        self._account.closed = True


def refuse(*_: object) -> None:
    """Refuse, as an account with a wrong key does."""
    raise ProviderError("the key is wrong", refused=True)


@hookimpl
def balancer_providers() -> list[type[Provider]]:
    """Offer this provider."""
    return [FakeProvider]
