"""Isolations: ways to keep a program apart from the machine, by name."""

from collections.abc import Mapping

from balancer.sandbox.local.isolation.base import Isolation
from balancer.sandbox.local.isolation.kinds import BARE, BUBBLEWRAP, UNSHARE

__all__ = ["AUTO", "ISOLATIONS", "Isolation"]

ISOLATIONS: Mapping[str, Isolation] = {each.name: each for each in (BUBBLEWRAP, UNSHARE, BARE)}

AUTO = ("bubblewrap", "unshare")  # what "auto" tries, in this order
