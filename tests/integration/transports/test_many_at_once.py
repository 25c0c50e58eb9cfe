"""Streams, calls that are cancelled and threads on one pool; and a server that dies while an unchanged client works."""

import asyncio
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

import balancer
from balancer import AsyncBalancedTransport, BalancedTransport, Endpoint, Pool
from balancer.core.events import Ended, Event, Granted
from tests.model_server import model_process, model_server
from tests.patience import PATIENCE_S

_CAPACITIES = (4, 3, 2)
_STREAMS, _CANCELLED, _THREADS = 60, 120, 60
_ASKS: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "count"}]}


class Peaks:
    """An observer: the most leases that were out at one time, by endpoint."""

    kinds = (Granted, Ended)

    def __init__(self) -> None:
        self._now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        assert isinstance(event, Granted | Ended)
        self._now[event.endpoint] += 1 if isinstance(event, Granted) else -1
        self.most[event.endpoint] = max(self.most[event.endpoint], self._now[event.endpoint])


@pytest.fixture
def models():
    with ExitStack() as stack:
        yield [stack.enter_context(model_server(word_s=0.004)) for _ in _CAPACITIES]


async def _stream(client: httpx2.AsyncClient) -> bool:
    async with client.stream("POST", "http://pool/v1/x", json={"stream": True}) as answer:
        return b"[DONE]" in await answer.aread()


async def _cancelled(client: httpx2.AsyncClient, rng: random.Random) -> None:
    asks = {"stream": True, "leaves": True}
    task = asyncio.create_task(client.post("http://pool/v1/x", json=asks))
    await asyncio.sleep(rng.uniform(0.0, 0.3))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _tasks(pool: Pool) -> list[Any]:
    rng = random.Random(7)
    async with httpx2.AsyncClient(transport=AsyncBalancedTransport(pool), timeout=PATIENCE_S) as client:
        streams = [_stream(client) for _ in range(_STREAMS)]
        all_of_it = [*streams, *(_cancelled(client, rng) for _ in range(_CANCELLED))]
        rng.shuffle(all_of_it)
        return [came for came in await asyncio.gather(*all_of_it) if came is not None]


def test_60_streams_120_cancelled_calls_and_60_threads_on_one_pool(models):
    peaks = Peaks()
    endpoints = [Endpoint(m.url, name=f"{c}", capacity=c) for m, c in zip(models, _CAPACITIES, strict=True)]
    pool = Pool(endpoints, observers=[peaks])
    tasks: list[Any] = []
    beside = threading.Thread(target=lambda: tasks.extend(asyncio.run(_tasks(pool))))
    with httpx2.Client(transport=BalancedTransport(pool), timeout=PATIENCE_S) as client:
        beside.start()
        with ThreadPoolExecutor(_THREADS) as threads:
            answers = list(threads.map(lambda _: client.post("http://pool/v1/x", json={}), range(_THREADS)))
        beside.join()
    assert {answer.status_code for answer in answers} == {200}
    assert tasks == [True] * _STREAMS
    assert (pool.leases(), pool.stats().failures) == ((), 0)
    assert peaks.most == {str(capacity): capacity for capacity in _CAPACITIES}
    assert [model.peak for model in models] == list(_CAPACITIES)


def _shares(answered: Counter[str]) -> dict[str, float]:
    return {name: count / answered.total() for name, count in answered.items()}


@pytest.mark.more
def test_no_request_of_an_unchanged_client_is_lost_when_a_server_dies_and_shares_are_by_weight():
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    answered: Counter[str] = Counter()
    with ExitStack() as stack:
        processes = {name: stack.enter_context(model_process()) for name in weights}
        pool = Pool(
            [Endpoint(processes[name][0], name=name, capacity=32, weight=weight) for name, weight in weights.items()],
            strategy="weighted_round_robin",
            observers=[lambda event: answered.update([event.endpoint]) if _is_success(event) else None],
        )
        client = stack.enter_context(balancer.openai(pool))

        def ask(number: int) -> str:
            if number == _DIES_AT:
                processes["b"][1].kill()
            said = client.chat.completions.create(**_ASKS).choices[0].message.content
            return str(said)

        with ThreadPoolExecutor(8) as threads:
            said = list(threads.map(lambda _: ask(-1), range(300)))
            shares = _shares(answered)
            said += threads.map(ask, range(200))
            answered.clear()
            said += threads.map(lambda _: ask(-1), range(200))
    assert said == ["one two three four"] * 700
    assert shares == {name: pytest.approx(weight / 6, abs=0.02) for name, weight in weights.items()}
    assert _shares(answered) == {"a": pytest.approx(1 / 4, abs=0.02), "c": pytest.approx(3 / 4, abs=0.02)}
    assert pool.leases() == ()
    assert pool.stats().retries > 0


_DIES_AT = 60


def _is_success(event: Event) -> bool:
    return isinstance(event, Ended) and event.outcome.value == "success"
