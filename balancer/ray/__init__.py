"""One pool for all processes of a Ray cluster, hosted by an actor. Needs the extra `ray`.

Ray finds the actor, starts it again when it dies, and tells its token; leases go over a connection of their own.
"""

from balancer.ray.shared import SharedPool, stop

__all__ = ["SharedPool", "stop"]
