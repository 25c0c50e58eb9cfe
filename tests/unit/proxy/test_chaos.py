"""Chaos: servers fail in every way, clients come and go, and nothing is lost that could be answered."""

import asyncio
import random
from collections import Counter

import pytest

from balancer.settings.rules import HealthSettings, RetrySettings
from tests.unit.proxy.harness import Server, run, setting, until

_WAYS = ("fine",) * 6 + ("closes", "resets", "500", "503", "half a head", "no body", "nonsense", "half", "drips")
_RETRIES = RetrySettings(budget_ratio=10.0, budget_per_s=10_000.0, base_s=0.0, max_pause_s=0.0)


class _Chaos:
    """Behaviours of servers, drawn for each request.

    Attributes:
        broke: the requests whose answers were broken after their first byte.
    """

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.broke = set()

    async def good(self, _, asked, __, writer):
        writer.write(self._answer(asked, "fine"))

    async def bad(self, _, asked, __, writer):
        way = self._random.choice(_WAYS)
        whole = self._answer(asked, way)
        match way:
            case "closes":
                writer.close()
            case "resets":
                writer.transport.abort()
            case "500" | "503":
                writer.write(b"HTTP/1.1 %b No\r\nContent-Length: 2\r\n\r\nno" % way.encode())
            case "half a head":
                writer.write(whole[:20])
                writer.close()
            case "no body":
                writer.write(whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                writer.close()
            case "nonsense":
                writer.write(b"\0" * 50)
            case "half":
                self.broke.add(asked.body)
                writer.write(whole[:-3])
                writer.close()
            case "drips":
                for at in range(0, len(whole), 7):
                    writer.write(whole[at : at + 7])
                    await asyncio.sleep(0)
            case _:
                writer.write(whole)

    def _answer(self, asked, way):
        body = asked.body[::-1]
        if self._random.random() < 0.5:
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (3, body[:3], len(body) - 3, body[3:])


async def _asks(at, name, many, chaos, seen, rng):
    client = None
    for number in range(many):
        body = b"%d/%d " % (name, number) * rng.choice((1, 10, 3000))
        client = client or await at.client()
        await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        if rng.random() < 0.1:  # it does not wait for the answer
            client.close()
            client = None
            seen["left"] += 1
            continue
        answer = await client.answer()
        if answer.whole:
            assert (answer.status, answer.body) == (200, body[::-1])
            seen["whole"] += 1
        else:
            assert body in chaos.broke
            seen["broken"] += 1
        if not answer.whole or answer.headers.get("connection") == "close":
            client.close()
            client = None
    if client is not None:
        client.close()


def _holds(seed, clients, many):
    async def test():
        chaos, seen = _Chaos(seed), Counter[str]()
        servers = [Server(chaos.good), *(Server(chaos.bad) for _ in range(3))]
        health = HealthSettings(cooldown_s=0.01)
        made = setting(
            *servers, dead=1, capacity=3, seed=seed, retries=_RETRIES, health=health, proxied={"attempts": 60}
        )
        async with made as at:
            await asyncio.gather(
                *(_asks(at, name, many, chaos, seen, random.Random(seed * 1000 + name)) for name in range(clients))
            )
            assert seen.total() == clients * many
            assert seen["whole"] > seen.total() / 2
            await until(lambda: at.out() == at.pool.stats().waiting == at.proxy.connections == 0)
            assert at.proxy.kept_bytes == 0

    run(test())


def test_nothing_is_lost_that_could_be_answered():
    _holds(1, clients=10, many=8)


@pytest.mark.more
@pytest.mark.parametrize("seed", range(2, 12))
def test_nothing_is_lost_in_many_requests(seed):
    _holds(seed, clients=30, many=30)
