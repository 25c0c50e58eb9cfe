"""What is left of a file when its mistakes are taken out, so that one mistake does not hide the next.

Decides what goes with a mistake: its key, or the whole endpoint whose URL cannot be used. Pure; it must not know what
the keys mean.
"""

import copy
from collections.abc import Iterable
from typing import Any, Final

from balancer.settings.tables import Place

__all__ = ["STAND_IN", "without"]

STAND_IN: Final = "unusable://"
"""Begins the URLs of endpoints that stand where one with a wrong URL stood, so that the others keep their numbers."""


def without(data: dict[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    """Return a copy of `data` without what stands at each of `places`; a required text that is missing is empty."""
    left = copy.deepcopy(data)
    for place in places:
        _take_out(left, place)
    return left


def _take_out(data: dict[str, Any], place: Place) -> None:
    if place == ("pipeline", "problems"):
        data["pipeline"]["problems"] = ""
        return
    if place[:1] == ("endpoints",) and len(place) > 1 and place[2:3] in ((), ("url",)):
        data["endpoints"][place[1]] = {"url": f"{STAND_IN}{place[1]}"}
        return
    inner: Any = data
    for part in place[:-1]:
        if not _has(inner, part):
            return  # an earlier place has taken it out
        inner = inner[part]
    if place and _has(inner, place[-1]):
        del inner[place[-1]]


def _has(inner: Any, part: str | int) -> bool:
    if isinstance(inner, dict):
        return part in inner
    return isinstance(inner, list) and isinstance(part, int) and part < len(inner)
