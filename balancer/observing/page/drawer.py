"""Drawer of the live page: what is only asked for while a reader looks at one endpoint.

These are how long its leases are held, and its last errors. Leases are timed only while some drawer is open.
"""

import threading
from collections import Counter
from typing import Any, Final

from balancer.core.events import Ended
from balancer.core.metrics import WaitHistogram
from balancer.observing import WatchedPool
from balancer.values.redaction import ShownNames

__all__ = ["Drawers"]

_UNREAD: Final = 3  # beats without a look, after which leases are not timed any more
_SHOWN: Final = 20  # errors


class Drawers:
    """Tells the details of endpoints.

    Args:
        pool: the pool.
        names: its secrets.
    """

    def __init__(self, pool: WatchedPool, names: ShownNames) -> None:
        self._pool = pool
        self._names = names
        self._turn = threading.Lock()
        self._holds: dict[str, WaitHistogram] = {}
        self._counts: Counter[str] = Counter()
        self._since_s = 0.0
        self._unread = 0
        self._observation: Any = None

    def look(self, name: str) -> dict[str, Any]:
        """Return the details of the endpoint of this name, ready for JSON, and time leases from now on.

        `held`: how many leases have ended since `since_s`, and quantiles of how long they were held. `kinds`: the last
        errors, counted by kind and status. `errors`: the newest of them.

        Raises:
            UnknownEndpoint: it has gone.
        """
        errors = [(each, self._names.without_secrets(each.said)) for each in self._pool.last_errors(name)]
        with self._turn:
            self._unread = 0
            if self._observation is None:
                self._holds, self._counts, self._since_s = {}, Counter(), self._pool.clock()
                self._observation = self._pool.observe(self._ended, kinds={Ended})
            held, ended = self._holds.get(name, WaitHistogram()).summary(self._counts[name]), self._counts[name]
            times = {f"{part}_s": float(f"{getattr(held, part):.3g}") for part in ("p50", "p99", "max")}
            kinds = Counter((each.outcome, said.partition(":")[0]) for each, said in errors)
            return {
                "held": {"ended": ended, "since_s": round(self._since_s, 1), **times},
                "kinds": [{"outcome": outcome, "kind": kind, "times": n} for (outcome, kind), n in kinds.most_common()],
                "errors": [
                    {"at_s": round(each.at_s, 1), "outcome": each.outcome, "said": said}
                    for each, said in errors[: -_SHOWN - 1 : -1]
                ],
            }

    def beat(self) -> None:
        """Stop timing leases if nobody has looked for three beats."""
        with self._turn:
            self._unread += 1
            ended = self._observation if self._unread > _UNREAD else None
            if ended is not None:
                self._observation = None
        if ended is not None:
            ended.end()

    def close(self) -> None:
        """Stop timing leases."""
        self._unread = _UNREAD
        self.beat()

    def _ended(self, event: Ended) -> None:
        holds = self._holds.get(event.endpoint) or self._holds.setdefault(event.endpoint, WaitHistogram())
        holds.add(event.held_s)
        self._counts[event.endpoint] += 1
