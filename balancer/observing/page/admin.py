"""Drain and restore by the page and by HTTP, and the audit line of each. This module knows no HTTP."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from balancer.endpoint import Endpoint
from balancer.errors import BalancerError
from balancer.values.redaction import in_one_line, plain_name
from balancer.values.urls import identity_of

__all__ = ["AdminRefusal", "Audit", "PageAdmin", "PoolAdmin"]

_AUDIT: Final = logging.getLogger("balancer.audit")

Audit = Callable[[str], object]


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


class AdminRefusal(BalancerError):
    """A request that cannot be done. Fields: `status` of HTTP."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class PageAdmin:
    """Changes a pool, and writes a line for each change: when, who, what.

    Args:
        pool: what is changed.
        name_of: returns the name of the endpoint in a row of the page, or None.
        audit: gets each line; None: the logger "balancer.audit", level INFO.
        redact: takes further secrets out of all that is said.
    """

    def __init__(
        self,
        pool: PoolAdmin,
        name_of: Callable[[str], str | None],
        audit: Audit | None,
        redact: Callable[[str], str] | None,
    ) -> None:
        self._pool = pool
        self._name_of = name_of
        self._audit = audit or _AUDIT.info
        self.redact = redact or str
        self.actions: dict[str, Callable[[str, str, str], str]] = {"drain": self.drain, "restore": self.restore}

    def drain(self, said: str, address: str, user: str) -> str:
        """Drain an endpoint for the `user` at an address, and return what was done. Raises BalancerError, ValueError.

        Args:
            said: the endpoint's name, its shown name, or its row.
            user: the name that the request gives, which may be false; "" for none.
        """
        endpoint = self._known(said)
        self._pool.drain(endpoint.name)
        return self._done(f"drained {plain_name(endpoint.name)}", address, user)

    def restore(self, said: str, address: str, user: str) -> str:
        """Take a drained endpoint back into service, as `drain`."""
        endpoint = self._known(said)
        self._pool.add(endpoint)
        return self._done(f"restored {plain_name(endpoint.name)}", address, user)

    def plain(self, error: BaseException) -> str:
        """Return the text of an error without secrets, in one line."""
        return in_one_line(self.redact(str(error)), 300)

    def _done(self, done: str, address: str, user: str) -> str:
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        who = f"{in_one_line(user, 60)!r} at {address}" if user else address
        self._audit(self.redact(f"audit: {when} {who}: {done}"))
        return self.redact(done)

    def _known(self, said: str) -> Endpoint:
        endpoints = self._pool.endpoints()
        for means in (
            lambda name: identity_of(name) == identity_of(said),
            lambda name: plain_name(name) == said,
            lambda name: name == self._name_of(said),
        ):
            found = [each for each in endpoints if means(each.name)]
            if len(found) == 1:
                return found[0]
            if found:
                raise AdminRefusal(409, "several endpoints are shown under this name; give the id, as in /state")
        raise AdminRefusal(404, "there is no such endpoint")
