"""Endpoints of a trace, as its pool knew them at the end.

Decides what is taken for their capacity where no run says it: as many calls as were there at once. In a log whose times
are rounded to milliseconds two calls that follow each other seem to be there at once, for a moment that is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from balancer.values.urls import checked_url
from balancer_simulator.fitting.behaviour import most_of
from balancer_simulator.fitting.calls import Calls, PreparedTrace

__all__ = ["Member", "members_of"]


_MS: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint of a trace.

    Attributes:
        name, host: as the trace has them.
        url: the same, as a scenario takes it.
        capacity: slots, or how many were seen in use where `told` is False.
        weight, labels: as the pool knew them.
    """

    name: str
    url: str
    host: str | None
    capacity: int
    weight: float
    labels: tuple[str, ...]
    told: bool

    @property
    def alone(self) -> str:
        """A name for a machine that has this endpoint and no other."""
        return self.url.split("://")[-1].strip("/").replace(":", "-").replace("/", "-")

    @property
    def data(self) -> dict[str, Any]:
        """The keys of an endpoint of a scenario."""
        found: dict[str, Any] = {"url": self.url, "capacity": self.capacity}
        if self.weight != 1.0:
            found["weight"] = self.weight
        if self.labels:
            found["labels"] = list(self.labels)
        if self.host:
            found["host"] = self.host
        return found


def members_of(prepared: PreparedTrace) -> tuple[Member, ...]:
    """Return the endpoints that were in the pool at the end, and those that had calls and of which no run tells."""
    told: dict[str, dict[str, Any]] = {}
    for run in prepared.trace.runs:
        told.update({str(each["name"]): dict(each) for each in run.get("endpoints") or ()})
    known = set(told)
    for event in prepared.trace.events:
        if event.endpoint is None:
            continue
        if event.event == "joined":
            told[event.endpoint] = {**told.get(event.endpoint, {}), "capacity": event.value, "host": event.name}
        elif event.event == "capacity" and event.endpoint in told:
            told[event.endpoint]["capacity"] = event.value
        elif event.event in ("left", "drained"):
            told.pop(event.endpoint, None)
    hosts = {each.endpoint: each.host for each in prepared.attempts}
    names = [*told, *(name for name in prepared.by_endpoint if name not in told and name not in known)]
    return tuple(_members(prepared, names, told, hosts))


def _members(
    prepared: PreparedTrace, names: list[str], told: dict[str, dict[str, Any]], hosts: dict[str, str | None]
) -> Iterator[Member]:
    moment_s = 2 * _MS if _is_rounded(prepared) else 0.0
    for number, name in enumerate(names):
        facts = told.get(name, {})
        capacity = facts.get("capacity")
        calls = prepared.by_endpoint.get(name)
        seen = max(1, _most(calls, moment_s)) if calls is not None else 1
        yield Member(
            name, _url_of(name, number), facts.get("host") or hosts.get(name), int(capacity or seen),
            float(facts.get("weight") or 1.0), tuple(facts.get("labels") or ()), bool(capacity),
        )  # fmt: skip


def _most(calls: Calls, moment_s: float) -> int:
    """Return how many calls were there at once, at most, for longer than a moment."""
    begun_s = calls.begun_s[calls.worked]
    return most_of(begun_s, np.maximum(calls.ended_s[calls.worked] - moment_s, begun_s))


def _is_rounded(prepared: PreparedTrace) -> bool:
    """Return whether all times are whole milliseconds, as those of an access log."""
    times = np.array([[each.granted_s, each.ended_s] for each in prepared.attempts]) / _MS
    return bool((np.abs(times - np.round(times)) < 1e-2).all())


def _url_of(name: str, number: int) -> str:
    """Return a URL for an endpoint that may be called anything: an address, or what a log calls a server."""
    for url in (name, f"http://{name.replace('/', '.')}/"):
        try:
            if "://" in url and not any(letter in url for letter in "{} "):
                return checked_url(url)
        except ValueError:
            continue
    return f"http://endpoint-{number + 1}/"
