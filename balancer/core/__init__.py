"""The core of a pool: who holds what, who waits, who is next.

It has no clock, thread, socket or log. A shell (threads, tasks, a simulator) makes one call at a time and passes the
time as `now`. It acts on the result after it has released its own lock.
"""

from balancer.core.core import Core
from balancer.core.waiters import Waiter

__all__ = ["Core", "Waiter"]
