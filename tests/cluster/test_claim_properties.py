"""Properties of the claim to be the only server of a pool, whatever the store, the clocks and the servers do.

In virtual time. A server is stopped between any two calls of the store, or for good. A call is lost, or its answer is,
or the call is carried out long after its server has given it up. The store forgets all.
"""

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.protocol.claim import ClaimWatch, ServerClaim, Steps, StoreCall, claim_times, life_of
from balancer.cluster.protocol.messages import MemberId

_TTL_S = 10.0
_TIMES = claim_times(_TTL_S)
_RATES = (0.9, 1.0, 1.1)
_PERIOD_S = 0.5


class _Store:
    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.late: list[StoreCall] = []
        self.forgot = 0

    def do(self, call: StoreCall) -> Any:
        if call.verb == "get":
            return self.texts.get(call.name)
        if call.verb == "drop":
            return self.texts.pop(call.name, None)
        if call.verb == "swap" and self.texts.get(call.name) != call.before:
            return False
        self.texts[call.name] = call.text
        return True


@dataclass
class _Server:
    """One life of a server. `took_from` is the life whose claim it took; `counted` are the members it may let in."""

    claim: ServerClaim
    watch: ClaimWatch
    offset_s: float
    rate: float
    steps: Steps[bool] | None = None
    call: StoreCall | None = None
    serves: bool = False
    took_from: str | None = None
    forgotten: int = 0  # how often the store had forgotten all when it took its claim
    counted: frozenset[MemberId] = frozenset()
    tells: frozenset[MemberId] | None = None  # the record under way


class _World:
    def __init__(self, seed: int, servers: int = 3) -> None:
        self.rng = random.Random(seed)
        self.t = 0.0
        self.store = _Store()
        self.numbers = 0
        self.keeps = 0.3  # the share of records among what a server does that serves
        self.ever: dict[str, _Server] = {}
        self.servers = [self.born() for _ in range(servers)]

    def born(self) -> _Server:
        self.numbers += 1
        claim = ServerClaim("p", f"life{self.numbers}", _TIMES)
        watch = ClaimWatch(claim, _TTL_S)
        server = _Server(claim, watch, self.rng.uniform(-1e4, 1e4), self.rng.choice(_RATES))
        self.ever[claim.life] = server
        return server

    def now(self, server: _Server) -> float:
        return server.offset_s + server.rate * self.t

    def sure(self, server: _Server) -> bool:
        return self.now(server) < server.claim.until_s

    def go_on(self, server: _Server, how: str = "do") -> None:
        """Let a server do its next call of the store, or begin what it does next."""
        if server.steps is None:
            self._begin(server)
            return
        assert server.call is not None
        try:
            if how in ("lose", "late"):
                if how == "late":
                    self.store.late.append(server.call)
                server.call = server.steps.throw(OSError("no answer"))
            else:
                answer = self.store.do(server.call)
                if how == "lose answer":
                    server.call = server.steps.throw(OSError("no answer"))
                else:
                    server.call = server.steps.send((answer, self.now(server)))
        except OSError:
            server.steps = server.tells = None
        except StopIteration as over:
            server.steps = None
            self._ended(server, over.value)
        self.check()

    def _begin(self, server: _Server) -> None:
        now = self.now(server)
        if not server.serves:
            server.steps = server.watch.look(now)
        elif self.rng.random() < self.keeps and self.sure(server):
            server.tells = server.counted | {MemberId("m", str(self.rng.random()))}
            server.steps = server.claim.keep(CoordinatorRecord(self.numbers, _TTL_S, server.tells))
        else:
            server.steps = server.claim.beat("here", now)
        server.call = next(server.steps)

    def _ended(self, server: _Server, done: bool) -> None:
        if not server.serves and done:
            server.serves = True
            server.took_from = life_of(server.claim.before) or None
            server.forgotten = self.store.forgot
        if server.tells is not None and done and self.sure(server):
            server.counted = server.tells
        server.tells = None
        if server.claim.lost:
            self.servers[self.servers.index(server)] = self.born()

    def check(self) -> None:
        sure = [each for each in self.ever.values() if self.sure(each)]
        if not self.store.forgot:
            assert len(sure) <= 1, "two servers are sure at once"
        for each in self.ever.values():
            before = None if each.took_from is None else self.ever[each.took_from]
            if each.claim.last is not None and before is not None and before.forgotten == each.forgotten:
                assert before.counted <= each.claim.last.holders, "a member is let in that the next one does not know"  # type: ignore[operator]

    def step(self, name: str, which: int) -> None:
        server = self.servers[which % len(self.servers)]
        if name == "wait":
            self.t += which / 10
        elif name == "crash":
            self.servers[which % len(self.servers)] = self.born()  # the one before may go on for as long as it is sure
        elif name == "forget":
            self.store.texts.clear()
            self.store.forgot += 1
        elif name == "late call":
            if self.store.late:
                self.store.do(self.store.late.pop(which % len(self.store.late)))
        else:
            self.go_on(server, name)
        self.check()

    def settle(self) -> None:
        """Let everything work for some TTL: then exactly one serves."""
        self.keeps = 0.0
        for _ in range(round(4 * _TTL_S / _PERIOD_S)):
            for server in [*self.servers]:
                for _ in range(8):
                    self.go_on(server)
                    if server.steps is None or server not in self.servers:
                        break
            self.t += _PERIOD_S
        assert [self.sure(each) for each in self.servers].count(True) == 1


_STEPS = st.tuples(
    st.sampled_from(
        [*["do"] * 12, "lose", "lose answer", "late", "late call", *["wait"] * 5, "crash", "do", "do", "forget"]
    ),
    st.integers(0, 60),
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.lists(_STEPS, max_size=120))
def test_no_two_are_sure_and_nobody_is_let_in_that_the_next_one_does_not_know(
    seed: int, plan: list[tuple[str, int]]
) -> None:
    world = _World(seed)
    for name, which in plan:
        world.step(name, which)
    world.settle()


def test_so_it_stays_in_long_lives() -> None:
    names = ["do", "lose", "lose answer", "late", "late call", "wait", "crash", "forget"]
    weights = [60, 1, 1, 1, 1, 12, 0.4, 0.05]
    turns = 0
    for seed in range(4):
        world = _World(seed)
        for name in world.rng.choices(names, weights, k=2000):
            world.step(name, world.rng.randrange(40) if name != "wait" else world.rng.choice([1, 2, 5, 10, 40]))
        world.settle()
        turns += sum(each.serves for each in world.ever.values())
    assert turns > 40
