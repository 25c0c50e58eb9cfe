"""Each fault of a server, before each client over a pool: what its caller sees, what was sent, what was counted."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import httpx
import httpx2
import openai

from balancer import AsyncBalancedTransport, BalancedTransport, Endpoint, Pool, RetrySettings
from balancer.core.events import Ended
from balancer.transports.clients import openai_http
from tests.faults.exchange import Exchange, Fault, head_of
from tests.faults.proxy import FAULTS, FaultProxy
from tests.model_server import ModelServer, model_server

__all__ = ["CLIENTS", "FAULTS_MET", "Client", "Met", "meet", "quick_retries"]

_ASKS = {"model": "m", "messages": [{"role": "user", "content": "count"}]}
_SAID = "one two three four"
_SPENT = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
_DRIP_S, _DRIP_BYTES = 0.001, 8


def _headless(met: Exchange) -> bool:
    answer = met.fetch()
    met.write(head_of(answer, len(answer.body)))
    met.closing.wait(0.02)  # or the reset overtakes what was sent
    met.reset()
    return True


def _drip(met: Exchange) -> bool:
    answer = met.fetch()
    met.write(head_of(answer, len(answer.body)))
    for at in range(0, len(answer.body), _DRIP_BYTES):
        if not met.write(answer.body[at : at + _DRIP_BYTES]) or met.closing.wait(_DRIP_S):
            break
    return True


def _garbage(met: Exchange) -> bool:
    met.write(b"\x16\x03\x01\x02\x00" * 20)
    met.over = True
    return True


def _none(met: Exchange) -> bool:
    raise AssertionError("nobody listens there")


def _spent(met: Exchange) -> bool:
    met.write(
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(_SPENT), _SPENT)
    )
    return True


REFUSED = Fault("refused", "nothing: it refuses connections", _none)
FAULTS_MET: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        REFUSED,
        FAULTS["reset"],
        FAULTS["429-seconds"],
        FAULTS["429-date"],
        FAULTS["503"],
        Fault("insufficient_quota", "429, the account has no credit", _spent),
        Fault("drop-before", "200, and a reset before the body", _headless),
        Fault("drop-within", "200, and a reset within the body", FAULTS["reset-amid"].do),
        Fault("drip", "the body, a few bytes at a time", _drip),
        Fault("garbage", "bytes that are no HTTP", _garbage),
        FAULTS["html"],
    )
}


@dataclass(frozen=True)
class Client:
    """A way to ask a model through a pool. `kind`: httpx2, httpx, or OpenAI's client over one of them."""

    kind: str
    over: ModuleType
    later: bool
    streams: bool

    @property
    def name(self) -> str:
        words = self.kind, "async" if self.later else "sync", "stream" if self.streams else ""
        return " ".join(word for word in words if word)

    def ask(self, pool: Pool) -> str:
        """Return what the model said, or raise what the client raises."""
        return asyncio.run(self._ask_later(pool)) if self.later else self._ask(pool)

    def _ask(self, pool: Pool) -> str:
        with self.over.Client(transport=BalancedTransport(pool), timeout=20.0, follow_redirects=True) as http:
            if self.kind != "OpenAI":
                with http.stream("POST", "http://pool/v1/chat/completions", json=self._body) as answer:
                    if not self.streams:
                        answer.read()
                        return _told(answer)
                    return "".join(answer.iter_text()) if answer.status_code == 200 else str(answer.status_code)
            client = openai.OpenAI(base_url="http://pool/v1", api_key="none", http_client=http, **RETRIES)
            answer = client.chat.completions.create(**self._body)  # type: ignore[call-overload]
            return "".join(map(_word, answer)) if self.streams else _whole(answer)

    async def _ask_later(self, pool: Pool) -> str:
        transport = AsyncBalancedTransport(pool)
        async with self.over.AsyncClient(transport=transport, timeout=20.0, follow_redirects=True) as http:
            if self.kind != "OpenAI":
                async with http.stream("POST", "http://pool/v1/chat/completions", json=self._body) as answer:
                    if not self.streams:
                        await answer.aread()
                        return _told(answer)
                    if answer.status_code != 200:
                        return str(answer.status_code)
                    return "".join([piece async for piece in answer.aiter_text()])
            client = openai.AsyncOpenAI(base_url="http://pool/v1", api_key="none", http_client=http, **RETRIES)
            answer = await client.chat.completions.create(**self._body)  # type: ignore[call-overload]
            return "".join([_word(each) async for each in answer]) if self.streams else _whole(answer)

    @property
    def _body(self) -> dict[str, Any]:
        return {**_ASKS, "stream": self.streams}


def _told(answer: Any) -> str:
    if answer.status_code != 200:
        return str(answer.status_code)
    return str(answer.json()["choices"][0]["message"]["content"])


def _word(chunk: Any) -> str:
    return chunk.choices[0].delta.content or ""


def _whole(answer: Any) -> str:
    if isinstance(answer, str):  # what is no JSON comes as it is
        return answer
    return str(answer.choices[0].message.content)


RETRIES: dict[str, Any] = {} if openai_http() is httpx2 else {"max_retries": 0}
CLIENTS = [
    Client(kind, over, later, streams)
    for kind, over in (("httpx2", httpx2), ("httpx", httpx), ("OpenAI", openai_http()))
    for later in (False, True)
    for streams in (False, True)
]


@dataclass(frozen=True)
class Met:
    """What came of a request. `sees`: what its caller saw; `sent`: requests that came to the bad server and to the
    sound one; `counted`: how the leases ended, there and there."""

    sees: str
    sent: tuple[int, int]
    counted: tuple[str, str]


def meet(client: Client, fault: Fault, model: ModelServer, *, alone: bool) -> Met:
    """Return what comes of a request to a server that commits `fault`, with a sound one beside it unless `alone`."""
    ends: list[tuple[str, str]] = []
    with ExitStack() as stack:
        if fault is REFUSED:
            url, proxy = stack.enter_context(_closed_port()), None
        else:
            proxy = stack.enter_context(FaultProxy(model.url, [fault], seconds=1.0))
            url = proxy.url
        sound = [] if alone else [Endpoint(stack.enter_context(model_server()).url, name="sound")]
        pool = Pool(
            [Endpoint(url, name="bad"), *sound],
            strategy="first",
            retries=RetrySettings(base_s=0),
            health=None,
            observers=[
                lambda event: ends.append((event.endpoint, event.outcome.value)) if isinstance(event, Ended) else None
            ],
        )
        sees = _seen(lambda: client.ask(pool))
        assert pool.leases() == (), "every lease has ended"
        left = {name: Counter(end for at, end in ends if at == name) for name in ("bad", "sound")}
        sent_well = left["sound"].total()
        return Met(
            sees, (sum(proxy.done.values()) if proxy else 0, sent_well), (_sum(left["bad"]), _sum(left["sound"]))
        )


def _seen(ask: Callable[[], str]) -> str:
    try:
        said = ask()
    except (httpx.HTTPError, httpx2.HTTPError, openai.OpenAIError, ValueError) as error:
        return type(error).__name__
    words = "".join(said.split())
    whole = said.strip() == _SAID or "[DONE]" in words
    return "the answer" if whole else said if said.isdecimal() else "another text"


def _sum(ends: Counter[str]) -> str:
    return ", ".join(f"{count} {end}" for end, count in sorted(ends.items())) or "none"


@contextmanager
def _closed_port() -> Iterator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen, so nobody else can
        yield f"http://127.0.0.1:{held.getsockname()[1]}/"


@contextmanager
def quick_retries() -> Iterator[None]:
    """Let OpenAI's clients pause for a moment only before they try again by themselves."""
    from openai import _base_client as theirs

    before = theirs.INITIAL_RETRY_DELAY, theirs.MAX_RETRY_DELAY
    theirs.INITIAL_RETRY_DELAY, theirs.MAX_RETRY_DELAY = 0.001, 0.001
    try:
        yield
    finally:
        theirs.INITIAL_RETRY_DELAY, theirs.MAX_RETRY_DELAY = before
