"""Ways to keep a program apart from the machine, one a file, and the table that names them."""

from collections.abc import Mapping

from balancer.sandbox.local.isolation.bare import Bare
from balancer.sandbox.local.isolation.base import Isolation
from balancer.sandbox.local.isolation.bubblewrap import Bubblewrap
from balancer.sandbox.local.isolation.namespaces import Unshare

__all__ = ["AUTO", "ISOLATIONS", "Isolation"]

ISOLATIONS: Mapping[str, Isolation] = {kind.name: kind for kind in (Bubblewrap(), Unshare(), Bare())}

AUTO = ("bubblewrap", "unshare")  # what "auto" tries, in this order
