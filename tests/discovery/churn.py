"""Servers that come and go by the hundred while calls are made: what is lost, and who flaps.

python -m tests.discovery.churn --seconds 60 --changes 1000      # prints what the run showed
"""

import argparse
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from balancer import Endpoint, Pool
from balancer.core.events import Added, Event, Removed
from balancer.discovery.follower import Discovery
from balancer.discovery.reconcile import LeavingRules
from balancer.hookspecs import EndpointTemplate, Source, SourceAnswer, SourceError
from balancer.values.options import StrategyOptions

__all__ = ["Churn", "Seen"]

_SERVERS = 40
_GRACE_S = 2.0


class _Nothing(Source):
    name = "churn"
    Options = StrategyOptions

    def look(self) -> SourceAnswer:
        raise SourceError("it is told by hand")


@dataclass
class Seen:
    """What a run has shown.

    Attributes:
        changes: what the source did, by kind.
        calls, lost: calls that came back well, and those that failed for whatever reason.
        flaps: additions and removals of endpoints that the source had not meant.
        least: the fewest endpoints in service.
    """

    changes: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    lost: list[str] = field(default_factory=list)
    flaps: list[str] = field(default_factory=list)
    least: int = _SERVERS

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.changes.items()))
        return (
            f"{sum(self.changes.values())} changes ({kinds}); {self.calls} calls, {len(self.lost)} lost; "
            f"{len(self.flaps)} flaps; never fewer than {self.least} endpoints"
        )


class Churn:
    """A pool of 40 servers that a source replaces one by one, while threads make calls.

    Args:
        clock: of the pool.
        threads: how many make calls.
        call_s: how long a call takes; 0: no time.
        seed: of the changes.
    """

    def __init__(self, clock: Callable[[], float], *, threads: int, call_s: float, seed: int) -> None:
        self.seen = Seen()
        self._rng = random.Random(seed)
        self._clock = clock
        self._call_s = call_s
        self.pool = Pool(clock=clock)
        rules = LeavingRules(_GRACE_S, 0.5)
        change = self.pool.engine.change_endpoints
        self._discovery = Discovery("churn", _Nothing(None, EndpointTemplate()), rules, change, clock)
        self._made = 0
        self._listed = {each.name: each for each in (self._new() for _ in range(_SERVERS))}
        self._meant_to_leave: set[str] = set()
        self._down: set[str] = set()  # forgotten by the pool: their machines are switched off
        self._joined: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self.pool.observe(self._count, {Added, Removed})
        self._over = threading.Event()
        self._tally = threading.Lock()
        self._threads = [threading.Thread(target=self._make_calls, daemon=True) for _ in range(threads)]

    def begin(self) -> None:
        """List all servers, and start the calls."""
        self._discovery.heard(SourceAnswer(tuple(self._listed.values())))
        for each in self._threads:
            each.start()

    def change(self) -> None:
        """Make one change of the source, and look at the pool."""
        kind = self._rng.choice(("replaced", "replaced", "replaced by name", "resized", "blink", "empty", "broken"))
        self.seen.changes[kind] += 1
        hidden: set[str] = set()
        gone: set[str] = set()
        if kind.startswith("replaced"):
            name = self._rng.choice(sorted(self._listed))
            del self._listed[name]
            self._meant_to_leave.add(name)
            gone = {name} if kind == "replaced by name" else set()
            new = self._new()
            self._listed[new.name] = new
        elif kind == "resized":
            name = self._rng.choice(sorted(self._listed))
            self._listed[name] = Endpoint(name, capacity=self._rng.randint(1, 4))
        elif kind == "blink":
            hidden = set(self._rng.sample(sorted(self._listed), 5))
        if kind == "broken":
            self._discovery.failed(SourceError("no answer"))
        elif kind == "empty":
            self._discovery.heard(SourceAnswer(()))
        else:
            wanted = [each for name, each in self._listed.items() if name not in hidden]
            self._discovery.heard(SourceAnswer(tuple(wanted), frozenset(gone)))
        self._discovery.look_at_the_clock()
        states = {each.name: each.state for each in self.pool.stats().endpoints}
        self._down = self._left.keys() - states.keys()
        self.seen.least = min(self.seen.least, sum(state == "active" for state in states.values()))

    def end(self) -> Seen:
        """End the calls, and return what was seen."""
        self._over.set()
        for each in self._threads:
            each.join()
        self.seen.flaps += [f"{name} left" for name in self._left if name not in self._meant_to_leave]
        self.seen.flaps += [f"{name} joined {count} times" for name, count in self._joined.items() if count > 1]
        self.seen.flaps += [f"{name} left {count} times" for name, count in self._left.items() if count > 1]
        self._discovery.close()
        self.pool.close()
        return self.seen

    @property
    def left(self) -> int:
        """How many endpoints have left."""
        return len(self._left)

    def _new(self) -> Endpoint:
        self._made += 1
        return Endpoint(f"http://10.0.{self._made // 250}.{self._made % 250 + 1}", capacity=2)

    def _count(self, event: Event) -> None:
        if isinstance(event, Added):
            self._joined[event.endpoint] += 1
        elif isinstance(event, Removed):
            self._left[event.endpoint] += 1

    def _make_calls(self) -> None:
        calls, lost = 0, []
        while not (calls and self._over.is_set()):
            try:
                with self.pool.lease() as lease:
                    if lease.endpoint.name in self._down:
                        lost.append(f"{lease.endpoint.name} is down")
                    self._over.wait(self._call_s)
                    calls += 1
            except Exception as error:
                lost.append(f"{type(error).__name__}: {error}")
        with self._tally:
            self.seen.calls += calls
            self.seen.lost += lost


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=64)
    given = parser.parse_args()
    churn = Churn(time.monotonic, threads=given.threads, call_s=0.005, seed=1)
    churn.begin()
    began_s = time.monotonic()
    for number in range(given.changes):
        time.sleep(max(0.0, began_s + number * given.seconds / given.changes - time.monotonic()))
        churn.change()
    took_s = time.monotonic() - began_s
    print(f"in {took_s:.0f} s: {churn.end()}; {churn.left} left for good")


if __name__ == "__main__":
    _main()
