"""Admin API of the page: requests that change a pool, and the audit line of each change.

A request is checked here, and becomes calls of the pool. Words that go out have no secret. This module knows no HTTP.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Protocol, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, ConfigError, UnknownEndpoint
from balancer.settings.endpoints import Capacity, Weight
from balancer.settings.pool import EndpointSettings
from balancer.settings.tables import Settings, problems_of
from balancer.values.redaction import in_one_line, plain_name
from balancer.values.urls import identity_of

__all__ = ["Action", "AdminRefusal", "Audit", "ChangeLog", "PoolAdmin", "WhoAsks", "actions_on"]

_AUDIT: Final = logging.getLogger("balancer.audit")
_SHOWN: Final = 300

Audit = Callable[[str], object]
Action = Callable[[Mapping[str, Any]], str]
"""Does what a request asks for, and returns what was done, in words. Raises AdminRefusal, BalancerError."""

S = TypeVar("S", bound=Settings)


class PoolAdmin(Protocol):
    """What the page may change of a pool. All of these may raise BalancerError or ValueError."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining."""
        ...

    def add(self, endpoint: Endpoint | str) -> None:
        """Take an endpoint into service."""
        ...

    def drain(self, url: str) -> None:
        """Grant no new leases of an endpoint."""
        ...

    def remove(self, url: str) -> None:
        """Grant no new leases of an endpoint, and forget it when its last lease ends."""
        ...

    def update(
        self,
        url: str,
        *,
        capacity: int | None = None,
        weight: float | None = None,
        labels: Iterable[str] | None = None,
        group: int | None = None,
    ) -> None:
        """Change the given values of an endpoint."""
        ...

    def set_strategy(self, name: str, **options: Any) -> None:
        """Replace the strategy."""
        ...


class AdminRefusal(Exception):
    """A request that cannot be done. Fields: `status` of HTTP; the text has no secret."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Named(Settings):
    endpoint: Annotated[str, Field(min_length=1)]


class _Update(_Named):
    capacity: Capacity | None = None
    weight: Weight | None = None
    labels: list[str] | None = None
    group: Annotated[int, Field(ge=0)] | None = None

    @property
    def changes(self) -> dict[str, Any]:
        return {key: value for key, value in self if key != "endpoint" and value is not None}

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.changes:
            raise ValueError("nothing to change; give capacity, weight, labels or group")
        return self


class _Choice(Settings):
    strategy: Annotated[str, Field(min_length=1)]
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WhoAsks:
    """Who asks for a change: the address of the connection, and the name that the request gives, which may be false."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        return f"{in_one_line(self.name, 60)!r} at {self.address}" if self.name else self.address


class ChangeLog:
    """Writes a line for each change: when, who, what.

    Args:
        audit: gets each line; None: the logger "balancer.audit", level INFO.
        redact: takes further secrets out of it.
    """

    def __init__(self, audit: Audit | None, redact: Callable[[str], str] | None) -> None:
        self._audit = audit or _AUDIT.info
        self._redact = redact or str

    def write(self, who: WhoAsks, done: str) -> None:
        """Write that `who` has done something."""
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._audit(self.shown(f"audit: {when} {who}: {done}"))

    def shown(self, text: str) -> str:
        """Return a text without secrets."""
        return self._redact(text)

    def plain(self, error: BaseException) -> str:
        """Return the text of an error without secrets, in one line."""
        return in_one_line(self._redact(str(error)), _SHOWN)


def actions_on(pool: PoolAdmin, name_of: Callable[[str], str | None]) -> dict[str, Action]:
    """Return what may be asked for, by the last part of its path.

    Args:
        pool: what is changed.
        name_of: returns the name of the endpoint in a row of the page, or None.
    """
    actions = _Actions(pool, name_of)
    return {
        "add": actions.add,
        "drain": partial(actions.do, "drained", pool.drain),
        "restore": partial(actions.do, "restored", actions.restore),
        "remove": partial(actions.do, "removed", pool.remove),
        "update": actions.update,
        "strategy": actions.set_strategy,
    }


class _Actions:
    def __init__(self, pool: PoolAdmin, name_of: Callable[[str], str | None]) -> None:
        self._pool = pool
        self._name_of = name_of

    def add(self, asked: Mapping[str, Any]) -> str:
        """Add the endpoints of an entry as in `[[endpoints]]`."""
        added: list[str] = []
        for endpoint in _read(EndpointSettings, asked).specs:
            try:
                self._pool.add(endpoint)
            except BalancerError:
                if added:  # the audit must not miss what was done
                    raise AdminRefusal(409, f"only {', '.join(added)} could be added") from None
                raise
            added.append(plain_name(endpoint.name))
        return f"added {', '.join(added)}"

    def do(self, done: str, act: Callable[[str], object], asked: Mapping[str, Any]) -> str:
        """Do something to one endpoint."""
        name = self._known(_read(_Named, asked).endpoint)
        act(name)
        return f"{done} {plain_name(name)}"

    def restore(self, name: str) -> None:
        """Take a drained endpoint back into service."""
        for endpoint in self._pool.endpoints():
            if endpoint.name == name:
                self._pool.add(endpoint)
                return
        raise UnknownEndpoint(name, ())

    def update(self, asked: Mapping[str, Any]) -> str:
        """Change values of one endpoint."""
        request = _read(_Update, asked)
        name = self._known(request.endpoint)
        self._pool.update(name, **request.changes)
        return f"updated {plain_name(name)}: " + ", ".join(f"{key}={value}" for key, value in request.changes.items())

    def set_strategy(self, asked: Mapping[str, Any]) -> str:
        """Replace the strategy."""
        request = _read(_Choice, asked)
        try:
            self._pool.set_strategy(request.strategy, **request.options)
        except TypeError:  # an option with the name of an argument
            raise AdminRefusal(400, f"strategy {request.strategy!r} has no such option") from None
        except ConfigError as error:
            raise AdminRefusal(400, str(error)) from None
        options = ", ".join(sorted(request.options))
        return f"set the strategy {request.strategy}" + (f" with {options}" if options else "")

    def _known(self, said: str) -> str:
        """Return the name of an endpoint that is called by its name, its shown name or its row. Raises AdminRefusal."""
        names = [each.name for each in self._pool.endpoints()]
        for means in (
            lambda name: identity_of(name) == identity_of(said),
            lambda name: plain_name(name) == said,
            lambda name: name == self._name_of(said),
        ):
            found = [name for name in names if means(name)]
            if len(found) == 1:
                return found[0]
            if found:
                raise AdminRefusal(409, "several endpoints are shown under this name; give the id, as in /state")
        raise AdminRefusal(404, "there is no such endpoint")


def _read(kind: type[S], asked: Mapping[str, Any]) -> S:
    """Return a request that was checked. Raises AdminRefusal, which quotes no header."""
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        lines = problems_of(error, kind, secret=lambda place, _: "headers" in place)
        raise AdminRefusal(400, "; ".join(lines)) from None
