"""Drain and restore by the page and by HTTP, and the audit line of each.

A request is checked here, and becomes calls of the pool. Words that go out have no secret. This module knows no HTTP.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Protocol

from pydantic import Field, ValidationError

from balancer.endpoint import Endpoint
from balancer.errors import UnknownEndpoint
from balancer.settings.tables import Settings, problems_of
from balancer.values.redaction import in_one_line, plain_name
from balancer.values.urls import identity_of

__all__ = ["Action", "AdminRefusal", "Audit", "ChangeLog", "PoolAdmin", "WhoAsks", "actions_on"]

_AUDIT: Final = logging.getLogger("balancer.audit")
_SHOWN: Final = 300

Audit = Callable[[str], object]
Action = Callable[[Mapping[str, Any]], str]
"""Does what a request asks for, and returns what was done, in words. Raises AdminRefusal, BalancerError."""


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


class AdminRefusal(Exception):
    """A request that cannot be done. Fields: `status` of HTTP; the text has no secret."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Named(Settings):
    endpoint: Annotated[str, Field(min_length=1)]


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
        "drain": partial(actions.do, "drained", pool.drain),
        "restore": partial(actions.do, "restored", actions.restore),
    }


class _Actions:
    def __init__(self, pool: PoolAdmin, name_of: Callable[[str], str | None]) -> None:
        self._pool = pool
        self._name_of = name_of

    def do(self, done: str, act: Callable[[str], object], asked: Mapping[str, Any]) -> str:
        """Do something to one endpoint."""
        name = self._known(_read(asked).endpoint)
        act(name)
        return f"{done} {plain_name(name)}"

    def restore(self, name: str) -> None:
        """Take a drained endpoint back into service."""
        for endpoint in self._pool.endpoints():
            if endpoint.name == name:
                self._pool.add(endpoint)
                return
        raise UnknownEndpoint(name, ())

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


def _read(asked: Mapping[str, Any]) -> _Named:
    """Return a request that was checked. Raises AdminRefusal."""
    try:
        return _Named.model_validate(asked)
    except ValidationError as error:
        raise AdminRefusal(400, "; ".join(problems_of(error, _Named))) from None
