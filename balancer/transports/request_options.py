"""Request options: what a request asks a pool for, and how often and how long it is tried."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypedDict

from balancer.opening.pool import Pool
from balancer.shells.lease_request import LeaseRequest
from balancer.transports.resend import RESENDS, Resend
from balancer.transports.sessions import RequestSession, RequestText, Sessions
from balancer.values.numbers import checked, seconds, whole

__all__ = ["RequestKeywords", "RequestOptions", "prompt_key", "prompt_tokens"]

_NOBODY = frozenset[str]()
_CHARACTERS = 4  # characters of a token, roughly, in English
_MOST_ANSWER = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_PAYLOADS = ("JsonPayload", "JsonBytesPayload", "BytesPayload", "StringPayload")  # of aiohttp, in memory
_count = partial(whole, least=0)


class RequestKeywords(TypedDict, total=False):
    """The options of a transport, by name; see `RequestOptions`, whose order they have."""

    labels: Iterable[str] | Callable[[Any], Iterable[str]]
    exclude: Iterable[str]
    priority: int | Callable[[Any], int]
    key: str | Callable[[Any], str | None] | None
    holder: str | Callable[[Any], str]
    ttl_s: float | None
    tokens: int | Callable[[Any], int | None] | None
    attempts: int
    deadline_s: float | None
    acquire_timeout_s: float | None
    load: bool
    resend: Resend
    sessions: Sessions | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """What the requests of a transport ask for. Five of these may be functions of a request.

    Their order is that of `Pool.acquire`, then that of `Pool.call`, then what only transports have.

    Args:
        labels: an endpoint must have all of these.
        exclude: names of endpoints that must not be used.
        priority: each level is worth 10 s of waiting.
        key: requests with one key go to the same endpoint if possible, with strategies that support affinity; a string,
            or a function of the request, such as `prompt_key()`.
        holder: who has the leases: a text that `Pool.leases` shows.
        ttl_s: seconds after which the pool ends a lease, even before the end of the body. None: the pool's default.
        tokens: the estimated tokens of a quota that a request will use; a number, or a function such as
            `prompt_tokens()`. Once all of the answer has arrived, its usage counts instead. None: the quota's own
            estimate.
        attempts: how often a request is sent at most, the first time included (>= 1).
        deadline_s: seconds for all waits, pauses and attempts up to the first byte of the body; None: no limit.
        acquire_timeout_s: how many seconds each attempt waits for a lease. None: as long as the client waits for a
            connection (`Timeout(pool=...)`) or the pool's default, whichever is less.
        load: True: ask each server for its load. Reports of servers are used in any case.
        resend: which failed requests are tried elsewhere. "always": all, until the first byte of the answer's body.
            "incomplete": those that no server can have read whole. "unsent": those of which no byte was sent. Requests
            of an idempotent method (GET, HEAD, OPTIONS, TRACE, PUT, DELETE) or with an `Idempotency-Key` are "always".
        sessions: sends requests where their file, conversation or other session lives; None: anywhere.

    Raises:
        ValueError: a number is out of range, or `resend` is unknown.
        TypeError: a string was given for a collection.

    Attributes:
        always: what each request asks the pool for, and that it has no session; None: that depends on the request.
    """

    labels: Iterable[str] | Callable[[Any], Iterable[str]] = _NOBODY
    exclude: Iterable[str] = _NOBODY
    priority: int | Callable[[Any], int] = 0
    key: str | Callable[[Any], str | None] | None = None
    holder: str | Callable[[Any], str] = ""
    ttl_s: float | None = None
    tokens: int | Callable[[Any], int | None] | None = None
    attempts: int = 3
    deadline_s: float | None = None
    acquire_timeout_s: float | None = None
    load: bool = False
    resend: Resend = "always"
    sessions: Sessions | None = None
    always: tuple[LeaseRequest, None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        checked("attempts", self.attempts, whole)
        for name in ("deadline_s", "acquire_timeout_s"):
            if getattr(self, name) is not None:
                checked(name, getattr(self, name), seconds)
        if self.tokens is not None and not callable(self.tokens):
            checked("tokens", self.tokens, _count)
        if self.resend not in RESENDS:
            raise ValueError(f"resend is {self.resend!r}; it takes one of {', '.join(map(repr, RESENDS))}")
        if not isinstance(self.sessions, Sessions | None):
            raise TypeError(f"sessions is {self.sessions!r}; it takes balancer.Sessions(...), or None")
        for name in ("labels", "exclude"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise TypeError(f"{name} is {given!r}; it takes a collection of strings, such as {{'a'}}")
            if not callable(given):
                object.__setattr__(self, name, frozenset(given))
        varies = any(map(callable, (self.labels, self.priority, self.key, self.holder)))
        if not varies and self.tokens is None and self.sessions is None:
            object.__setattr__(self, "always", (self.asked(None), None))

    def asked(self, request: Any, *, counted: bool = True) -> LeaseRequest:
        """Return what `request` asks the pool for. `counted`: False if no tokens count."""
        return LeaseRequest(
            labels=frozenset(_of(self.labels, request)),
            exclude=frozenset(self.exclude),
            priority=_of(self.priority, request),
            key=_of(self.key, request),
            holder=_of(self.holder, request),
            ttl_s=self.ttl_s,
            tokens=_of(self.tokens, request) if counted else None,
        )

    def placed(self, pool: Pool, request: Any, target: str) -> "tuple[LeaseRequest, RequestSession | None]":
        """Return what `request` asks the pool for, and its session, if there may be one. `target`: path and query."""
        asked = self.asked(request, counted=pool.engine.has_quotas)
        if self.sessions is None:
            return asked, None
        body = _body(request)
        text = RequestText(target, request.headers, body if isinstance(body, str | bytes) else None)
        session = self.sessions.session_of(pool, text, request)
        return session.asked(asked), session


def _of(given: Any, request: Any) -> Any:
    return given(request) if callable(given) else given


def prompt_key(characters: int = 1000, *, block: int | None = None) -> Callable[[Any], str | None]:
    """Return a `key=` for LLM servers: requests whose prompts begin alike go where that beginning is cached.

    It reads the body of a request as JSON in OpenAI's form (`messages`, `input` or `prompt`). Requests of another form
    have no key.

    Args:
        characters: how many of the prompt's first characters count (>= 1). Prompts that differ later have one key.
        block: for the strategy `prefix`: the key names each beginning of so many characters, of twice as many, and so
            on. Give more `characters`, e.g. `prompt_key(64_000, block=1000)`. None: one name for all of them.

    Raises:
        ValueError: a number is not a whole number >= 1.
    """
    checked("characters", characters, whole)
    if block is not None:
        checked("block", block, whole)

    def key(request: Any) -> str | None:
        asked = _asked(request)
        said = _said(asked)
        if not said:
            return None
        model = asked.get("model")
        text = f"{model}\0{said[:characters]}"
        if block is None:
            return hashlib.blake2b(text.encode(errors="replace"), digest_size=12).hexdigest()
        so_far, names = hashlib.blake2b(digest_size=8), []
        for at in range(0, max(block, len(text) - len(text) % block), block):  # a block that may still grow has no name
            so_far.update(text[at : at + block].encode(errors="replace"))
            names.append(so_far.hexdigest())
        return "/".join(names)

    return key


def prompt_tokens(answer: int = 1000) -> Callable[[Any], int | None]:
    """Return a `tokens=` for LLM servers: an estimate by the length of a prompt and of the longest answer it allows.

    It reads the body of a request as JSON in OpenAI's form, as `prompt_key` does. It counts a token for every four
    characters of the prompt and of the tools. For each of `n` answers it adds `max_completion_tokens`, `max_tokens` or
    `max_output_tokens`. Requests of another form have no estimate of their own.

    Args:
        answer: tokens of an answer whose request does not limit it (>= 0); 0 for embeddings.

    Raises:
        ValueError: `answer` is not a whole number >= 0.
    """
    checked("answer", answer, _count)

    def tokens(request: Any) -> int | None:
        asked = _asked(request)
        said = _said(asked)
        if not said:
            return None
        tools = asked.get("tools")
        characters = len(said.replace("\0", "")) + (len(json.dumps(tools)) if tools else 0)
        most = next((asked[name] for name in _MOST_ANSWER if _counts(asked.get(name))), answer)
        times = asked["n"] if _counts(asked.get("n")) else 1
        return -(-characters // _CHARACTERS) + most * times

    return tokens


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _asked(request: Any) -> dict[str, Any]:
    """Return the JSON object of a request; an empty one if there is none."""
    try:
        asked = json.loads(_body(request) or b"null")
    except (ValueError, TypeError, RecursionError):
        return {}
    return asked if isinstance(asked, dict) else {}


def _body(request: Any) -> Any:
    """Return the body of a request if it is in memory. A streamed body is not read for this."""
    try:
        found = request.body if hasattr(request, "body") else request.content
        return found.decode() if type(found).__name__ in _PAYLOADS else found
    except RuntimeError:  # RequestNotRead
        return None


def _said(asked: dict[str, Any]) -> str:
    for name in ("messages", "input", "prompt"):
        if asked.get(name):
            return f"{asked.get('instructions') or ''}\0" + _text(asked[name])
    return ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\0".join(_text(value[name]) for name in ("role", "content", "text") if name in value)
    return "\0".join(map(_text, value)) if isinstance(value, list) else ""
