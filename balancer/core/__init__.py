"""The pure core: who holds what, who waits, who is next.

No clock, thread, socket or log lives here. A shell (threads, a simulator) makes one call at a time,
passes the time in as `now`, and acts on the answer after it has let go of its own lock.
"""

from balancer.core.core import Core
from balancer.core.waiters import Waiter

__all__ = ["Core", "Waiter"]
