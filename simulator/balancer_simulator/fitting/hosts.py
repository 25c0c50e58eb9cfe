"""Shared cores: whether the endpoints of a host share them.

Decides it as for one server, by held-out likelihood, with the calls of all endpoints of the host in flight together.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from balancer_simulator.fitting.behaviour import AHEAD, FREE, counts_below, most_of, score_of, shared
from balancer_simulator.fitting.endpoint import EndpointFit, as_told
from balancer_simulator.fitting.members import Member
from balancer_simulator.scenario.distributions import Floats

__all__ = ["host_cores"]

_CLEARLY: Final = 2.0  # standard errors


def host_cores(
    members: Sequence[Member], found: Mapping[str, EndpointFit]
) -> tuple[dict[str, int], dict[str, EndpointFit]]:
    """Return the cores of hosts whose endpoints share them, and all endpoints, with the work that is in their calls."""
    cores: dict[str, int] = {}
    result = dict(found)
    by_host: dict[str, list[str]] = {}
    for member in members:
        if member.host is not None and (~found[member.name].sound.open).any():
            by_host.setdefault(member.host, []).append(member.name)
    for host, names in by_host.items():
        if len(names) > 1 and (best := _together([found[name] for name in names])) is not None:
            cores[host], works = best
            result.update({name: as_told(found[name], FREE, w) for name, w in zip(names, works, strict=True)})
    return cores, result


def _together(found: Sequence[EndpointFit]) -> tuple[int, list[Floats]] | None:
    """Return with how many cores the calls make more sense than with each endpoint by itself, and the work in them."""
    begun_s, ended_s = (
        np.concatenate([getattr(each.sound, name) for each in found]) for name in ("begun_s", "ended_s")
    )
    edges = np.cumsum([len(each.sound) for each in found])[:-1]
    apart = np.concatenate([each.tried.score[each.tried.chosen] for each in found])
    best: tuple[float, int, list[Floats]] | None = None
    for count in counts_below(most_of(begun_s, ended_s)):
        work_s, rate = shared(count, begun_s, ended_s)
        works = np.split(work_s, edges)
        score = np.concatenate(
            [
                score_of(each.sound, mine, its)
                for each, mine, its in zip(found, works, np.split(rate, edges), strict=True)
            ]
        )
        ahead = score - apart
        total, error = float(ahead.sum()), float(np.sqrt(len(ahead)) * ahead.std())
        if total > max(_CLEARLY * error, AHEAD) and (best is None or total > best[0]):
            best = total, count, works
    return None if best is None else best[1:]
