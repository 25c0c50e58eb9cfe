"""Members of a trace: the endpoints as the pool knew them at the end, with their capacities.

A capacity that the trace does not tell is found from waits: a call that waited begins when a slot is freed, so just
after that all slots are in use. The most common number then is the capacity (the mode). The most ever seen is not,
because a machine that stalls notes ends too late. Where too few calls waited to tell, it is all that there is. Where no
call waited, or calls waited for something else, there may be no limit at all.

In a log with times rounded to milliseconds, two calls that follow each other can seem to overlap for a moment; that
does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from balancer.values.urls import checked_url
from balancer_simulator.fitting.calls import Calls, PreparedTrace

__all__ = ["NO_LIMIT", "Member", "members_of"]

NO_LIMIT: Final = 10_000
"""Capacity of an endpoint for which no call has waited: so many calls at once that none will."""

_WAITED: Final = 5  # calls that waited, from which on their number at once tells the capacity
_MOSTLY: Final = 0.4  # share of the calls that waited, after which as many were in use
_BEYOND: Final = 0.05  # share of all calls after which more may seem to be in use, as a machine that stalls ends late
_MOMENT: Final = 0.01  # share of the mean call: a shorter wait is none

CapacitySource = Literal["told", "waits", "others", "seen", "no wait"]


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint of a trace.

    Attributes:
        name, host: from the trace.
        url: its name as a URL for a scenario.
        capacity: slots.
        weight, labels: as the pool knew them.
        source: how the capacity is known: `told` by the trace; from `waits` for it; that of the `others`; the most
            calls `seen` at once, as too few waited; or `no wait` for it: `NO_LIMIT`.
        seen: the most slots in use for longer than a moment.
        waited: calls that waited before they began here.
    """

    name: str
    url: str
    host: str | None
    capacity: int
    weight: float
    labels: tuple[str, ...]
    source: CapacitySource
    seen: int
    waited: int

    @property
    def most(self) -> int:
        """The most calls at once that it can have had: its capacity, if that is found from waits."""
        return self.capacity if self.source in ("waits", "seen") else max(self.seen, 1)

    @property
    def alone(self) -> str:
        """A name for a machine that has only this endpoint."""
        return self.url.split("://")[-1].strip("/").replace(":", "-").replace("/", "-")

    @property
    def data(self) -> dict[str, Any]:
        """Its keys as an endpoint of a scenario."""
        return {
            "url": self.url, "capacity": self.capacity, "weight": self.weight, "labels": list(self.labels),
            "host": self.host or None,
        }  # fmt: skip


def members_of(prepared: PreparedTrace) -> tuple[Member, ...]:
    """Return the endpoints in the pool at the end, and those with calls that no run describes."""
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
    return _like_others(list(_members(prepared, names, told, hosts)))


def _members(
    prepared: PreparedTrace, names: list[str], told: dict[str, dict[str, Any]], hosts: dict[str, str | None]
) -> Iterator[Member]:
    for number, name in enumerate(names):
        facts = told.get(name, {})
        in_use, waited = _in_use(prepared.calls_of(name), prepared.moment_s)
        capacity, source = facts.get("capacity"), "told"
        if not capacity:
            capacity = _capacity(in_use, waited)
            source = "waits" if capacity else "no wait"
            if not capacity and 0 < waited.sum() < _WAITED:
                # There seems to be a limit. Without one, waits would surely be 0 at any load.
                capacity, source = int(in_use.max()), "seen"
        yield Member(
            name, _url_of(name, number), facts.get("host") or hosts.get(name), int(capacity or NO_LIMIT),
            float(facts.get("weight") or 1.0), tuple(facts.get("labels") or ()), source,  # type: ignore[arg-type]
            int(in_use.max(initial=1)), int(waited.sum()),
        )  # fmt: skip


def _like_others(members: list[Member]) -> tuple[Member, ...]:
    """Return the members. One without waits has the capacity of the others, if all known ones are equal."""
    known = {each.capacity for each in members if each.source in ("told", "waits")}
    if len(known) != 1:
        return tuple(members)
    (common,) = known
    return tuple(
        replace(each, capacity=common, source="others")
        if each.source in ("seen", "no wait") and each.seen <= common
        else each
        for each in members
    )


def _in_use(calls: Calls, moment_s: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the calls in use just after each grant, its own included, and which calls had waited."""
    begun_s, ended_s = calls.begun_s, calls.ended_s
    over = np.searchsorted(np.sort(np.maximum(ended_s - moment_s, begun_s)), begun_s, side="right")
    in_use = np.maximum(np.searchsorted(begun_s, begun_s, side="right") - over, 1)
    least_s = max(moment_s, _MOMENT * float(calls.held_s.mean())) if len(calls) else 0.0
    return in_use, calls.waited_s > least_s


def _capacity(in_use: NDArray[np.intp], waited: NDArray[np.bool_]) -> int | None:
    """Return the number in use after which most calls that waited began; None if they do not tell one."""
    if waited.sum() < _WAITED:
        return None
    counts = np.bincount(in_use[waited])
    mode = int(len(counts) - 1 - counts[::-1].argmax())  # the largest of equally common ones
    clear = counts[mode] >= _MOSTLY * waited.sum() and (in_use > mode).mean() <= _BEYOND
    return mode if clear else None


def _url_of(name: str, number: int) -> str:
    """Return a URL for an endpoint with any name: an address, or a server's name in a log."""
    for url in (name, f"http://{name.replace('/', '.')}/"):
        try:
            if "://" in url and not any(letter in url for letter in "{} "):
                return checked_url(url)
        except ValueError:
            continue
    return f"http://endpoint-{number + 1}/"
