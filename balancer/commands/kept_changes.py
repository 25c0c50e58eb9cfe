"""Changes of the admin API that the next server of a pool must know: they are kept in the record of the coordinator.

What counts is their result for each endpoint, so the record stays small. The next server applies them over its config,
before it serves.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Final

from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.tcp.clock import clock
from balancer.commands.live import ConfigChanges
from balancer.core import Core
from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, UnknownEndpoint
from balancer.plugins.registry import Registry
from balancer.reporting.words import count
from balancer.values.redaction import plain_name

__all__ = ["KeptChanges"]

_MOST: Final = 1000  # endpoints; beyond, what was changed first is forgotten


class KeptChanges:
    """The changes of a served pool, beside the record of its coordinator. Used in the server's loop only.

    Args:
        keep: stores a record; raises OSError.
        last: the record of the previous coordinator, with its changes.
        say: called with a line for what is not kept, or not applied.
    """

    def __init__(
        self,
        keep: Callable[[CoordinatorRecord], None],
        last: CoordinatorRecord | None,
        say: Callable[[str], object],
    ) -> None:
        self._keep = keep
        self._say = say
        self._record: CoordinatorRecord | None = None
        self._endpoints: dict[str, dict[str, Any]] = {}  # by name: "add", then "update", then "drain" or "remove"
        self._strategy: dict[str, Any] | None = None
        for text in last.changes if last is not None else ():
            change = json.loads(text)
            if "strategy" in change:
                self._strategy = change
            else:
                self._endpoints[change.pop("endpoint")] = change

    def keep(self, record: CoordinatorRecord) -> None:
        """Store the coordinator's record, with the changes. Raises OSError."""
        self._record = record
        self._keep(replace(record, changes=tuple(self._texts())))

    # -- what was changed --------------------------------------------------------------------------

    def added(self, endpoint: Endpoint, *, restored: bool) -> None:
        """Note an endpoint that was added, or `restored` after a drain. With headers (a secret) it is not kept."""
        if restored:
            self._of(endpoint.name).pop("drain", None)
        elif endpoint.headers:
            self._endpoints.pop(endpoint.name, None)
            self._say(
                f"{plain_name(endpoint.name)} has headers, which may be secret, so the next server will not know of "
                "it; put it into the config"
            )
        else:
            self._endpoints.pop(endpoint.name, None)
            self._of(endpoint.name)["add"] = _fields_of(endpoint)
        self._store()

    def drained(self, name: str) -> None:
        """Note an endpoint that was drained."""
        self._of(name)["drain"] = True
        self._store()

    def removed(self, name: str) -> None:
        """Note an endpoint that was removed."""
        self._endpoints.pop(name, None)
        self._of(name)["remove"] = True
        self._store()

    def updated(self, name: str, changes: Mapping[str, Any]) -> None:
        """Note new values of an endpoint."""
        known = self._of(name)
        values = known["add"] if "add" in known else known.setdefault("update", {})
        values.update({key: sorted(value) if key == "labels" else value for key, value in changes.items()})
        self._store()

    def set_strategy(self, name: str, options: Mapping[str, Any]) -> None:
        """Note a new strategy."""
        self._strategy = {"strategy": name, "options": dict(options)}
        self._store()

    def superseded(self, by: ConfigChanges) -> None:
        """Forget what a newer config says otherwise."""
        for endpoint in (*by.added, *by.changed, *by.removed):
            self._endpoints.pop(endpoint.name, None)
        if by.strategy:
            self._strategy = None
        self._store()

    # -- for the next server -----------------------------------------------------------------------

    def apply(self, core: Core, registry: Registry, rng: Random) -> list[str]:
        """Do to a core that nobody uses yet what was done to that of the previous server. Return lines that say so."""
        told: list[str] = []
        for name, change in self._endpoints.items():
            told += _tried(f"the endpoint {plain_name(name)}", partial(_do, core, name, change))
        chosen = self._strategy
        if chosen is not None:
            name, options = chosen["strategy"], chosen["options"]
            told += _tried("the strategy", lambda: core.set_strategy(registry.strategy(name, options, rng), clock()))
        what = [count(len(self._endpoints), "endpoint")] if self._endpoints else []
        what += ["the strategy"] if chosen is not None else []
        return [*told, f"as the admin API of the last server has changed it: {' and '.join(what)}"] if what else []

    def _of(self, name: str) -> dict[str, Any]:
        while len(self._endpoints) >= _MOST and name not in self._endpoints:
            del self._endpoints[next(iter(self._endpoints))]
        return self._endpoints.setdefault(name, {})

    def _texts(self) -> Iterator[str]:
        for name, change in self._endpoints.items():
            if change:
                yield json.dumps({"endpoint": name, **change})
        if self._strategy is not None:
            yield json.dumps(self._strategy)

    def _store(self) -> None:
        """Store the changes with the coordinator's last record; before there is one, they are stored with it.

        Raises:
            BalancerError: the change was made, but could not be stored. It is stored with the next record.
        """
        if self._record is None:
            return
        try:
            self.keep(self._record)
        except OSError as error:
            raise BalancerError(f"it is done, but the next server would not know of it: {error}") from None


def _tried(what: str, act: Callable[[], object]) -> Iterator[str]:
    """Do something, and yield a line if it cannot be done."""
    try:
        act()
    except (BalancerError, ValueError, TypeError, KeyError) as error:
        yield f"a change of {what} by the admin API cannot be made again: {error}"


def _fields_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return an endpoint without headers, ready for JSON."""
    found = {name: getattr(endpoint, name) for name in ("url", "name", "capacity", "weight", "host", "group", "quota")}
    return {**found, "labels": sorted(endpoint.labels)}


def _endpoint_of(fields: Mapping[str, Any]) -> Endpoint:
    return Endpoint(**{**fields, "labels": frozenset(fields["labels"])})


def _do(core: Core, name: str, change: Mapping[str, Any]) -> None:
    """Do what was done to one endpoint. Raises BalancerError, ValueError, TypeError, KeyError."""
    now = clock()
    if "add" in change:
        endpoint = _endpoint_of(change["add"])
        states = {each.endpoint.identity: each.state for each in core.ledger.accounts()}
        there = states.get(endpoint.identity) is MembershipState.ACTIVE
        (core.update if there else core.add)(endpoint, now)
    try:
        if "update" in change:
            given = dict(change["update"])
            if "labels" in given:
                given["labels"] = frozenset(given["labels"])
            core.update(replace(core.ledger.account(name).endpoint, **given), now)
        if "drain" in change:
            core.drain(name, now)
        if "remove" in change:
            core.remove(name, now)
    except UnknownEndpoint:
        return  # the config, or a source, does not have it any more
