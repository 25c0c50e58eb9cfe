"""One pool for all processes of a Ray cluster, hosted by an actor. Needs the extra `ray`.

Ray finds the actor, restarts it when it dies, and passes on its token. Leases use a connection of their own.
"""

from balancer.ray.shared import SharedPool, stop

__all__ = ["SharedPool", "stop"]
