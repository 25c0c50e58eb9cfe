"""Client of one HTTP server: each call has a deadline and a size limit, and ends in an answer or an `EndpointError`.

It decides which errors are the server's fault, which mean that it is busy, and which of its words may be shown. The
executor knows the requests and the meaning of answers. Headers may hold secrets: their values appear in no error or
repr, even if the server quotes them.
"""

import json
import logging
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import TypeVar
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from balancer.answers import BUSY_STATUSES, NO_ENTRY, asked_pause_s
from balancer.errors import CannotTell, ConfigError, EndpointError, EndpointOverloaded
from balancer.values.headers import checked_headers, secrets_of
from balancer.values.redaction import Redaction, in_one_line, plain_name

__all__ = ["AnswerModel", "Exchange", "NoAnswer", "ServerClient", "UnexpectedStatus", "WireAnswer", "WireRequest"]

_REASON_CHARS = 200
_TOO_LONG = 413  # a limit of its own, for requests
# A program may print a shorter value, e.g. "application/json", by chance.
_TELLING_CHARS = 20
_TARGET = re.compile(r"[\x21-\x7e]+")
_EVERY_S = 60.0  # at most one line of the log in so many seconds
_OWN = ("content-length", "transfer-encoding")  # headers that follow from a body
_PORTS = {"http": 80, "https": 443}

Answer = TypeVar("Answer", bound=BaseModel)

_LOGGER = logging.getLogger("balancer")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request with its whole URL and all its headers, as they are sent; its seconds, and the bytes of its answer."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes
    within_s: float
    at_most: int


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """An answer: its status, its headers by their names in lower case, and its body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class AnswerModel(BaseModel):
    """What is read of a server's JSON. Other fields are ignored."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class NoAnswer(Exception):
    """There is no answer that can be used. The text says why, and may quote the server."""


Exchange = Callable[[WireRequest], WireAnswer]
"""Sends a request. Raises NoAnswer, or TimeoutError when its seconds are over."""


class UnexpectedStatus(EndpointError):
    """The server answered with an unexpected status. Fields: `status`, and its `words` without secrets."""

    def __init__(self, reason: str, *, endpoint: str, status: int, words: str) -> None:
        super().__init__(reason, endpoint=endpoint)
        self.status = status
        self.words = words


class ServerClient:
    """Sends requests to one server. Thread-safe.

    Args:
        url: of the server, e.g. "http://10.0.0.1:8080/". A path before the API's own is kept. The name of the API, as
            in "judge0+http://10.0.0.1/", is not sent.
        headers: sent with every request.
        exchange: sends them.
        clock: in seconds.

    Attributes:
        redact: removes the values of the headers from a text.

    Raises:
        ConfigError: the URL or a header cannot be used.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        exchange: Exchange,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        base = _base(url)
        given = checked_headers(headers, url)
        secrets = secrets_of(given)
        self.redact = Redaction.of((secret, "***") for secret in secrets)
        self._telling = [secret.encode() for secret in secrets if len(secret) >= _TELLING_CHARS]
        self._url = url
        self._clock = clock
        self._told_s = -inf
        self._path = quote(base.path.rstrip("/"), safe="%/:@!$&'()*+,;=~")
        self._headers = _headers(base, given, url)
        self._place = f"{base.scheme}://{_place(base)}"
        self._exchange = exchange

    def get(self, path: str, *, within_s: float, at_most: int) -> bytes:
        """Return the body of a good answer that arrives within `within_s` seconds and has at most `at_most` bytes.

        Raises:
            EndpointError: the server failed or did not answer in time; `UnexpectedStatus` if it answered with another
                status, `CannotTell` if it takes no request of that length.
            EndpointOverloaded: it said that it is busy.
        """
        return self.call("GET", path, within_s=within_s, at_most=at_most)

    def post(
        self, path: str, body: object, answer: type[Answer], *, within_s: float, at_most: int, good: int = 200
    ) -> Answer:
        """Send `body` as JSON and return the answer, parsed from JSON as `answer`. Raises as `get`."""
        sent = json.dumps(body, ensure_ascii=False).encode()
        return self.read(self.call("POST", path, body=sent, within_s=within_s, at_most=at_most, good=good), answer)

    def call(
        self,
        method: str,
        path: str,
        *,
        within_s: float,
        at_most: int,
        body: bytes = b"",
        kind: str = "application/json",
        good: int = 200,
    ) -> bytes:
        """Send a request, with a `body` of that content type if it has one, and return the body of the `good` answer.

        Raises as `get`.
        """
        target = self._path + path
        if not _TARGET.fullmatch(target):
            raise self.failed("the request cannot be sent as it is")
        headers = {**self._headers, "Content-Type": kind} if body else self._headers
        try:
            answer = self._exchange(WireRequest(method, self._place + target, headers, body, within_s, at_most))
        except TimeoutError as error:
            raise self.failed(f"no answer within {within_s:g} s") from error
        except NoAnswer as error:  # it may quote the answer, so it is not chained
            raise self.failed(self.one_line(str(error))) from None
        if answer.status != good:
            raise self._error(answer)
        return answer.content

    def read(self, content: bytes, answer: type[Answer]) -> Answer:
        """Return the JSON in `content` as an object of the type `answer`.

        Raises:
            EndpointError: it is not such JSON.
        """
        try:
            return answer.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "body"
            raise self.failed(self.redact(f"the answer is malformed: {where}: {first['msg']}")) from None

    def check_output(self, printed: bytes) -> None:
        """Raise EndpointError if the output of a program contains the whole value of a header."""
        if any(secret in printed for secret in self._telling):
            raise self.failed("the program's output has the value of a request header; servers must not pass those on")

    def failed(self, reason: str) -> EndpointError:
        """Return an error of this server. `reason` is shown as it is."""
        return EndpointError(reason, endpoint=self._url)

    def cannot_tell(self, reason: str) -> CannotTell:
        """Return the error for an answer that does not say how the program ended."""
        return CannotTell(self.redact(reason), endpoint=self._url)

    def busy(self, reason: str) -> EndpointOverloaded:
        """Return the error of a server that is busy."""
        return EndpointOverloaded(reason, endpoint=self._url)

    def one_line(self, text: str) -> str:
        """Return the server's text as one line without secrets."""
        return " ".join(self.redact(text).split())[:_REASON_CHARS] or "no reason given"

    def _error(self, answer: WireAnswer) -> EndpointError:
        """Return the error of a status that is not the good one."""
        status = answer.status
        reason = f"answered {status}"
        if 300 <= status < 400:
            return self.failed(f"{reason}, a redirect; use the URL of its target")
        words = self.redact(answer.content.decode("utf-8", "replace"))  # before it is cut: the cut may be in a secret
        if detail := " ".join(words.split())[:_REASON_CHARS]:
            reason = f"{reason}: {detail}"
        if status in BUSY_STATUSES:
            told = {"Retry-After": answer.headers.get("retry-after"), "Date": answer.headers.get("date")}
            pause_s = asked_pause_s(told, received=datetime.now(UTC))
            return EndpointOverloaded(reason, endpoint=self._url, retry_after_s=pause_s)
        if status == _TOO_LONG:
            return CannotTell(reason, endpoint=self._url)
        if status in NO_ENTRY and self._clock() - self._told_s >= _EVERY_S:
            self._told_s = self._clock()
            hint = "it refuses the token, or lacks one; correct the headers of the endpoint in the config"
            _LOGGER.warning("%s %s; %s", plain_name(self._url), in_one_line(reason, _REASON_CHARS), hint)
        return UnexpectedStatus(reason, endpoint=self._url, status=status, words=words)


def _base(url: str) -> SplitResult:
    """Return the parts of `url`, without the name of the API. Raises ConfigError."""
    scheme, found, rest = url.partition("://")
    try:
        base = urlsplit(scheme.rpartition("+")[2] + found + rest)
        usable = base.scheme in _PORTS and base.port != 0 and bool(_ascii_host(base))
    except ValueError as error:  # also a name that IDNA does not know
        raise ConfigError(f"endpoint url is {url!r}: {error}") from error
    if not usable or not url.isprintable() or " " in base.netloc:
        raise ConfigError(f"endpoint url is {url!r}; it must be like http://10.0.0.1:8080/")
    return base


def _ascii_host(base: SplitResult) -> str:
    return (base.hostname or "").encode("idna").decode("ascii")


def _place(base: SplitResult) -> str:
    host = _ascii_host(base)
    place = f"[{host}]" if ":" in host else host
    return place if base.port in (None, _PORTS[base.scheme]) else f"{place}:{base.port}"


def _headers(base: SplitResult, given: Mapping[str, str], url: str) -> Mapping[str, str]:
    """Return the headers of every request. Raises ConfigError."""
    headers = {
        "Host": _place(base),
        "User-Agent": "balancer",
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # a compressed answer may be a thousand times as long when unpacked
    }
    if base.username is not None:
        user = f"{unquote(base.username)}:{unquote(base.password or '')}"
        given = {**given, "Authorization": f"Basic {b64encode(user.encode()).decode('ascii')}"}
    for name, value in given.items():
        if name.lower() in _OWN:
            raise ConfigError(f"endpoint {url}: header {name!r} follows from each request; remove it from the headers")
        if name.lower() != "content-type":  # each body has its own
            headers = {own: text for own, text in headers.items() if own.lower() != name.lower()} | {name: value}
    return headers
