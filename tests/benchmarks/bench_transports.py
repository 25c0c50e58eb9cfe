"""What a transport costs above its bare client: CPU time of the thread that asks.

    python -m tests.benchmarks.bench_transports [--short]

A server in a process of its own answers at once. The bare client and the one over a pool take turns.
OpenAI's client is beside the same one of `balancer.aopenai`, and LiteLLM's router, if it is installed here.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import httpx
import httpx2
import requests
from openai import AsyncOpenAI

from balancer import Endpoint, Pool, aopenai
from balancer.transports.adapter import BalancedAdapter
from balancer.transports.httpx_transports import AsyncBalancedTransport, BalancedTransport
from tests.benchmarks.harness import Row, in_turns, options, show, timed
from tests.model_server import model_process

_PATH = "v1/chat/completions"
_ASKED: Any = {"model": "m", "messages": [{"role": "user", "content": "count"}]}
_LITELLM = find_spec("litellm") is not None

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
        alone = AsyncOpenAI(base_url=f"{self._url}v1", api_key="none")
        found["OpenAI, tasks"] = self._chat(alone), self._chat(aopenai(self._pool))
        if _LITELLM:
            found["LiteLLM's router, tasks"] = self._chat(alone), self._in_loop(_litellm(self._url))
        return found

    def _chat(self, client: AsyncOpenAI) -> Ask:
        return self._in_loop(partial(client.chat.completions.create, **_ASKED))

    def _both(self, bare: Callable[[str], Any], ours: Callable[[str], Any]) -> tuple[Ask, Ask]:
        return partial(bare, self._url + _PATH), partial(ours, f"http://pool/{_PATH}")

    def _in_loop(self, ask: Callable[[], Awaitable[object]]) -> Ask:
        async def once() -> object:
            return await ask()

        return lambda: self._loop.run_until_complete(once())


def _litellm(url: str) -> Callable[[], Awaitable[object]]:
    """Return what asks through LiteLLM's Router."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches a price list
    import litellm

    routed = {"model": "openai/m", "api_base": f"{url}v1", "api_key": "none"}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": routed}])
    return partial(router.acompletion, **_ASKED)


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
    if not _LITELLM:
        print("LiteLLM is not installed here, so its router did not take part.")


def main() -> None:
    """Measure and print."""
    report(SHORT if options(__doc__, "some seconds instead of a minute; rougher").short else FULL)


if __name__ == "__main__":
    main()
