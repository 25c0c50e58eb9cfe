"""What a transport costs above its bare client: CPU time of the thread that asks.

    python -m tests.benchmarks.bench_transports [--short]

A server in a process of its own answers at once. The bare client and the one over a pool take turns.
LiteLLM's router takes part if it is installed in this environment.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import httpx
import httpx2
import requests

from balancer import Endpoint, Pool
from balancer.transports.adapter import BalancedAdapter
from balancer.transports.sync import BalancedTransport
from balancer.transports.tasks import AsyncBalancedTransport
from tests.benchmarks.harness import Row, in_turns, options, show, timed
from tests.benchmarks.router_worker import ROUTERS
from tests.model_server import model_process

_PATH = "v1/chat/completions"
_ASKED: Any = {"model": "m", "messages": [{"role": "user", "content": "count"}]}
_ALONE = "round robin"  # of one server: the SDK alone
_ROUTED = {"OpenAI, tasks": "balancer", "LiteLLM's router, tasks": "LiteLLM shuffle"}
_ABSENT = [] if find_spec("litellm") else ["LiteLLM shuffle"]

Ask = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: turns of so many requests."""

    turns: int
    requests: int


FULL, SHORT = Effort(turns=300, requests=10), Effort(turns=40, requests=5)


class Contenders:
    """Each client, bare and over a pool.

    Args:
        url: of the server.
        loop: runs the tasks.
    """

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self._url = url
        self._loop = loop
        self._pool = Pool([Endpoint(url, capacity=8)])

    def all(self) -> dict[str, tuple[Ask, Ask]]:
        """Return what asks once, bare and over a pool, by the name of the client."""
        found: dict[str, tuple[Ask, Ask]] = {}
        for http in (httpx2, httpx):
            clients = http.Client(), http.Client(transport=BalancedTransport(self._pool))
            found[http.__name__] = self._both(*(partial(client.post, json=_ASKED) for client in clients))
            later = http.AsyncClient(), http.AsyncClient(transport=AsyncBalancedTransport(self._pool))
            bare, ours = self._both(*(partial(client.post, json=_ASKED) for client in later))
            found[f"{http.__name__}, tasks"] = self._in_loop(bare), self._in_loop(ours)
        session, over = requests.Session(), requests.Session()
        over.mount("http://pool/", BalancedAdapter(self._pool))
        found["requests"] = self._both(partial(session.post, json=_ASKED), partial(over.post, json=_ASKED))
        for name, router in _ROUTED.items():
            if router not in _ABSENT:
                bare, ours = (self._in_loop(ROUTERS[each]([self._url], 8)) for each in (_ALONE, router))
                found[name] = bare, ours
        return found

    def _both(self, bare: Callable[[str], Any], ours: Callable[[str], Any]) -> tuple[Ask, Ask]:
        return partial(bare, self._url + _PATH), partial(ours, f"http://pool/{_PATH}")

    def _in_loop(self, ask: Callable[[], Awaitable[object]]) -> Ask:
        async def once() -> object:
            return await ask()

        return lambda: self._loop.run_until_complete(once())


def _several(ask: Ask, requests: int) -> None:
    for _ in range(requests):
        ask()


def report(effort: Effort) -> None:
    """Print what each transport costs."""
    with model_process() as (url, _):
        loop = asyncio.new_event_loop()
        both = Contenders(url, loop).all()
        asks = {f"{name}{which}": ask for name, two in both.items() for which, ask in enumerate(two)}
        runs = {name: partial(timed, partial(_several, ask, effort.requests)) for name, ask in asks.items()}
        turns = in_turns(runs, effort.turns, warm=2)
        loop.close()

    def cells(name: str) -> Row:
        bare, ours = (turns.took[f"{name}{which}"] for which in range(2))
        above = median(one - other for one, other in zip(ours, bare, strict=True))
        target = "<= 40 us" if name.startswith("httpx") else ""
        return (
            name,
            *(f"{seconds * 1e6 / effort.requests:.0f}" for seconds in (median(bare), median(ours), above)),
            target,
        )

    show(
        "client | bare, us | over a pool, us | above, us | target",
        map(cells, both),
        f"A request; {effort.turns} turns of {effort.requests}, CPU time, medians",
    )
    if _ABSENT:
        print("LiteLLM is not installed here, so its router did not take part.")


def main() -> None:
    """Measure and print."""
    report(SHORT if options(__doc__, "some seconds instead of a minute; rougher").short else FULL)


if __name__ == "__main__":
    main()
