"""Model client: asks a server with OpenAI's API, with limits on time and size.

Decides how an answer is kept to its form on servers with different abilities. Decides also what an error means: the
server failed, it will never answer, or it declines this question. Values of headers, which may be keys, are in no error
and no answer.

Model servers: a question goes to one server, and to another if that fails. Decides how long to wait in an outage of all
servers, and never asks an unusable one again. A shell: has the pool and the clients.
"""

import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    NotFoundError,
    OpenAI,
    OpenAIError,
)

from balancer.answers import BUSY_STATUSES, retry_after_s
from balancer.core.attempt_plan import AttemptPlans
from balancer.core.decisions import CallPolicy, Run
from balancer.endpoint import Lease
from balancer.errors import BalancerError, EndpointError, EndpointOverloaded
from balancer.judging.attempts import SharedOutage
from balancer.opening.pool import Pool
from balancer.settings.llm import LlmSettings
from balancer.shells.driver import ThreadDriver
from balancer.shells.lease_request import LeaseRequest
from balancer.transports.clients import openai_http
from balancer.transports.time_bound import TimeBound, bind
from balancer.values.headers import checked_headers, secrets_of
from balancer.values.redaction import Redaction

__all__ = ["Declined", "ModelClient", "ModelReply", "ModelServers", "NotAnswered", "ServerUnusable", "most_tokens"]

_MOST_BODY = 32 * 2**20  # bytes
_IDLE_S = 3.0  # uvicorn closes idle connections after 5 s; a request must not meet a connection that is closing
_SLOW_REQUEST = 408
_NOT_UNDERSTOOD = (400, 422, 500)
_SHOWN = 200  # characters of a server's message
_TELLING_CHARS = 16  # a shorter header value may be in an answer by chance
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_JSON = {"response_format": {"type": "json_object"}}
_LIMITS = ("max_tokens", "max_completion_tokens")
# Servers of models are often busy. With one dead server and one that was busy two times of three, five tries for each
# question were not enough: an unlucky question got no answer while others did.
_TRIES = 20


class ServerUnusable(BalancerError):
    """A server will not answer anything in this run: e.g. no money, an invalid key or an unknown model."""


class Declined(BalancerError):
    """A server will not answer this question, e.g. because it is too long."""


class _TooLong(Exception):
    """A body that is longer than an answer may be."""


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A server's answer.

    Attributes:
        text: the model's words; None if there are none.
        refusal: its words, if the server says that it refused.
        cut: whether the answer was too long and is cut off.
        asked, answered: tokens, as the server counts them. If it gives no count, or a count above the possible maximum,
            the maximum: one for each byte.
    """

    text: str | None
    refusal: str | None
    cut: bool
    asked: int
    answered: int


class ModelClient:
    """One server. Thread-safe.

    Args:
        base_url: e.g. "https://host/v1/".
        headers: sent with every request; "Authorization" is the key.
        settings: the model and its options.

    Raises:
        ConfigError: a header cannot be sent.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], settings: LlmSettings) -> None:
        given = checked_headers(headers, base_url)
        secrets = secrets_of(given)
        self._redact = Redaction.of((secret, "***") for secret in secrets)
        self._telling = [secret for secret in secrets if len(secret) >= _TELLING_CHARS]
        self._url = base_url
        self._settings = settings
        # The best way first. A server may not know the form of an answer, or the name of its limit.
        self._ways = [{limit: settings.max_output_tokens, **form} for form in (_JSON, {}) for limit in _LIMITS]
        self._http = openai_http().Client(transport=_Bounded(), trust_env=False, follow_redirects=False)
        self._client = OpenAI(
            base_url=base_url,
            api_key="none",  # unless a header sets one
            # A compressed answer may be a thousand times longer than it looks.
            default_headers={"Accept-Encoding": "identity", **given},
            max_retries=0,  # the pool retries, on other servers too; both together would multiply
            http_client=self._http,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, messages: list[dict[str, str]]) -> ModelReply:
        """Return the answer to `messages`, each with a role and a content.

        Raises:
            EndpointError: the server failed, or (EndpointOverloaded) is busy.
            ServerUnusable: it will never answer.
            Declined: it does not answer this question.
        """
        try:
            completion = self._in_some_form(messages)
        except Exception as error:  # none leaves unchanged: its text may have the key
            if isinstance(error, _TooLong) or isinstance(error.__cause__, _TooLong):
                return ModelReply(None, None, True, most_tokens(messages), self._settings.max_output_tokens)
            self._raise(error)
        return self._reply(completion, messages)

    # -- the question --------------------------------------------------------------------------------

    def _in_some_form(self, messages: list[dict[str, str]]) -> Any:
        """Ask in the best way that the server knows. After an answer in one way, no other is tried."""
        first = None
        for way in self._ways:
            try:
                with TimeBound(self._settings.timeout_s):  # the client's own timeouts start anew with every byte
                    completion = self._client.chat.completions.create(
                        model=self._settings.model, messages=cast(Any, messages), **cast(Any, way)
                    )
            except APIStatusError as error:
                # A server that does not know the way says so in its own words, or fails (llama.cpp's: 500).
                if len(self._ways) == 1 or error.status_code not in _NOT_UNDERSTOOD:
                    raise
                first = first or error
            else:
                self._ways = [way]
                return completion
        assert first is not None
        raise first

    # -- what comes back -----------------------------------------------------------------------------

    def _reply(self, completion: Any, messages: list[dict[str, str]]) -> ModelReply:
        choices = getattr(completion, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(choice, "message", None)
        if message is None:
            raise self._failed("its answer is not a completion")
        text, refusal = self._words(message, "content"), self._words(message, "refusal")
        if text is None and refusal is None and getattr(message, "content", None) is not None:
            raise self._failed("its answer is not a text")
        usage = getattr(completion, "usage", None)
        return ModelReply(
            text=text,
            refusal=refusal,
            cut=getattr(choice, "finish_reason", None) == "length",
            asked=_count(usage, "prompt_tokens", most_tokens(messages)),
            answered=_count(
                usage, "completion_tokens", max(self._settings.max_output_tokens, _bytes_of(text)), _bytes_of(text)
            ),
        )

    def _words(self, message: object, name: str) -> str | None:
        found = getattr(message, name, None)
        if not isinstance(found, str):
            return None
        plain = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), found)  # an answer is often JSON
        if any(secret in text for secret in self._telling for text in (found, plain)):
            raise self._failed("the answer has the value of a request header; a server must not return those")
        return found.encode("utf-8", "replace").decode()  # lone surrogates are not text, and no file can store them

    def _raise(self, error: Exception) -> NoReturn:
        """Raise the meaning of `error`, without its chain."""
        words = self._redact(" ".join(str(error).split()))[:_SHOWN]
        if isinstance(error, EndpointError):
            raise error from None
        if isinstance(error, APIStatusError):
            if error.code == "insufficient_quota":
                raise ServerUnusable(f"{self._url}: insufficient_quota: its account has no quota left") from None
            if isinstance(error, AuthenticationError | NotFoundError):
                raise ServerUnusable(f"{self._url}: {words}") from None
            if error.status_code in BUSY_STATUSES:
                raise EndpointOverloaded(words, endpoint=self._url, retry_after_s=retry_after_s(error)) from None
            if 400 <= error.status_code < 500 and error.status_code != _SLOW_REQUEST:
                raise Declined(f"{self._url}: {words}") from None
        if isinstance(error, APITimeoutError | TimeoutError) or isinstance(error.__cause__, TimeoutError):
            raise self._failed(f"no answer within {self._settings.timeout_s:g} s") from TimeoutError()
        if isinstance(error, APIConnectionError):
            words = self._redact(f"{type(error.__cause__).__name__}: {error.__cause__}")[:_SHOWN]
        raise self._failed(words if isinstance(error, OpenAIError) else f"{type(error).__name__}: {words}") from None

    def _failed(self, reason: str) -> EndpointError:
        return EndpointError(reason, endpoint=self._url)


def _bytes_of(text: str | None) -> int:
    return len(text.encode("utf-8", "replace")) if text else 0


def most_tokens(messages: list[dict[str, str]]) -> int:
    """Return the largest possible number of tokens in `messages`: one for each byte, and some for each message."""
    return sum(_bytes_of(each["content"]) + 16 for each in messages)


def _count(usage: object, name: str, most: int, otherwise: int | None = None) -> int:
    found = getattr(usage, name, None)
    told = isinstance(found, int) and not isinstance(found, bool) and found >= 0
    return min(cast(int, found), most) if told else most if otherwise is None else otherwise


class _Bounded:
    """Transport without proxies whose bodies have a limit. It keeps the time bound of its thread."""

    def __init__(self) -> None:
        self._library = openai_http()
        limits = self._library.Limits(max_connections=None, keepalive_expiry=_IDLE_S)
        self._inner = self._library.HTTPTransport(verify=ssl.create_default_context(), trust_env=False, limits=limits)
        bind(self._inner)

    def handle_request(self, request: Any) -> Any:
        response = self._inner.handle_request(request)
        try:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise self._library.RemoteProtocolError("sent a compressed answer, which was not requested")
            body = bytearray()
            for piece in response.stream:
                body += piece
                if len(body) > _MOST_BODY:
                    raise _TooLong
        finally:
            response.stream.close()
        return self._library.Response(response.status_code, headers=response.headers, content=bytes(body))

    def close(self) -> None:
        self._inner.close()


_Ask = Callable[[list[dict[str, str]]], ModelReply]


class NotAnswered(BalancerError):
    """No server answered, for a reason outside the question. It may be asked again later."""


class ModelServers:
    """The servers of a model. Thread-safe.

    Args:
        pool: leases them.
        asks: of each, by the name of its endpoint: returns its answer to messages.
        outage_s: seconds for which each is tried beyond its tries, while no question is answered.
        say: is called about each server that will never answer, and about the first unanswered question.
    """

    def __init__(self, pool: Pool, asks: Mapping[str, _Ask], *, outage_s: float, say: Callable[[str], object]) -> None:
        self._pool = pool
        self._asks = asks
        self._outage = SharedOutage(outage_s)
        self._say = say
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._spent: dict[str, str] = {}  # servers that will never answer, and why

    def ask(self, messages: list[dict[str, str]], pause: Callable[[float], object] = time.sleep) -> ModelReply:
        """Return the answer of a server to `messages`.

        Args:
            messages: each with a role and a content.
            pause: waits so many seconds between tries; its errors end the call.

        Raises:
            NotAnswered: no server answered.
            Declined: a server does not answer this question.
        """
        while len(self._spent) < len(self._asks):
            drive = self._drive(messages, frozenset(self._spent.copy()), pause)
            try:
                return drive.run()
            except ServerUnusable as error:
                self._spent[drive.at] = str(error)
                self._tell(drive.at, f"{error}; it is not used again in this run")
            except Declined:
                raise
            except BalancerError as error:
                raise self._not_answered("; ".join([str(error), *getattr(error, "__notes__", ())])) from None
        raise self._not_answered("; ".join(self._spent.values()))

    def _drive(
        self, messages: list[dict[str, str]], spent: frozenset[str], pause: Callable[[float], object]
    ) -> ThreadDriver[ModelReply]:
        able, engine = len(self._asks) - len(spent), self._pool.engine
        # Dead servers must not use up the tries of a good one. An outage is waited for.
        terms = CallPolicy(
            attempts=max(_TRIES, able),
            owed=able,
            persists=True,
            retries=engine.retries,
            wait_s=engine.acquire_timeout_s,
        )
        plans = AttemptPlans(terms, budget=engine.budget, rng=engine.jitter, outage=self._outage)

        def make(run: Run, hand: list[Lease]) -> ModelReply:
            pause(0)  # after a stop, nothing begins
            with hand[0] as lease:
                return self._asks[lease.endpoint.name](messages)

        return ThreadDriver(engine, plans, LeaseRequest(exclude=spent), make, sleep=pause, tells=False)

    def _not_answered(self, why: str) -> NotAnswered:
        self._tell("", f"no server of the model answers: {why}; the next run will ask again")
        return NotAnswered(why)

    def _tell(self, about: str, line: str) -> None:
        """Say a line about a server, or about all of them (""), once."""
        with self._lock:
            known = about in self._told
            self._told.add(about)
        if not known:
            self._say(line)
