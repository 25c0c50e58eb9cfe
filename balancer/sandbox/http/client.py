"""Client of one HTTP server: each call has a deadline and a size limit, and ends in an answer or an `EndpointError`.

It decides which errors are the server's fault, which mean that it is busy, and which of its words may be shown. The
executor knows the requests and the meaning of answers. Headers may hold secrets: their values appear in no error or
repr, even if the server quotes them.
"""

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

from pydantic import BaseModel, ValidationError

from balancer.client_errors import BUSY_STATUSES, NO_ENTRY, asked_pause_s
from balancer.errors import CannotTell, ConfigError, EndpointError, EndpointOverloaded
from balancer.sandbox.http.connections import Connect, Connections, NoAnswer, Received, connector
from balancer.values.headers import checked_headers, secrets_of
from balancer.values.redaction import Redaction, in_one_line, plain_name

__all__ = ["Body", "ServerClient", "UnexpectedStatus"]

_REASON_CHARS = 200
_TOO_LONG = 413  # a limit of its own, for requests
_NOT_THERE = ("answered 404", "answered 405", "answered 501")
# A program may print a shorter value, e.g. "application/json", by chance.
_TELLING_CHARS = 20
_TARGET = re.compile(r"[\x21-\x7e]+")
_EVERY_S = 60.0  # at most one line of the log in so many seconds
_OWN = ("content-length", "transfer-encoding")  # headers that follow from a body
_PORTS = {"http": 80, "https": 443}

Answer = TypeVar("Answer", bound=BaseModel)

_LOGGER = logging.getLogger("balancer")


class UnexpectedStatus(EndpointError):
    """The server answered with an unexpected status. Fields: `status`, and its `words` without secrets."""

    def __init__(self, reason: str, *, endpoint: str, status: int, words: str) -> None:
        super().__init__(reason, endpoint=endpoint)
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request, and its content type."""

    content: bytes
    kind: str = "application/json"


class ServerClient:
    """Sends requests to one server. Thread-safe.

    Args:
        url: of the server, e.g. "http://10.0.0.1:8080/". A path before the API's own is kept. The name of the API, as
            in "judge0+http://10.0.0.1/", is not sent.
        headers: sent with every request.
        connect: makes a connection; by default to the URL's host.
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
        connect: Connect | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        base = _base(url)
        given = checked_headers(headers, url)
        secrets = secrets_of(given)
        self.redact = Redaction.of((secret, "***") for secret in secrets)
        self._telling = [secret for secret in secrets if len(secret) >= _TELLING_CHARS]
        self._url = url
        self._clock = clock
        self._told_s = -inf
        self._path = quote(base.path.rstrip("/"), safe="%/:@!$&'()*+,;=~")
        self._head = _head(base, given, url)
        host, port, tls = _ascii_host(base), base.port or _PORTS[base.scheme], base.scheme == "https"
        self._connections = Connections(connect or connector(host, port, tls=tls), clock)

    def get(self, path: str, *, within_s: float, at_most: int) -> bytes:
        """Return the body of a good answer that arrives within `within_s` seconds and has at most `at_most` bytes.

        Raises:
            EndpointError: the server failed or did not answer in time; `UnexpectedStatus` if it answered with another
                status, `CannotTell` if it takes no request of that length.
            EndpointOverloaded: it said that it is busy.
        """
        return self.call("GET", path, within_s=within_s, at_most=at_most)

    def get_if_there(self, path: str, *, within_s: float, at_most: int) -> bytes | None:
        """Return as `get`; None if the server has no such resource (404, 405, 501). Raises as `get`."""
        try:
            return self.get(path, within_s=within_s, at_most=at_most)
        except EndpointError as error:
            if error.reason.startswith(_NOT_THERE):
                return None
            raise

    def post(
        self, path: str, body: bytes, answer: type[Answer], *, within_s: float, at_most: int, good: int = 200
    ) -> Answer:
        """Send JSON and return the answer, parsed from JSON as `answer`. Raises as `get`."""
        content = self.call("POST", path, body=Body(body), within_s=within_s, at_most=at_most, good=good)
        return self.read(content, answer)

    def call(
        self,
        method: str,
        path: str,
        *,
        within_s: float,
        at_most: int,
        body: Body | None = None,
        good: int = 200,
    ) -> bytes:
        """Send a request, with a `body` if it has one, and return the body of the `good` answer.

        Raises as `get`.
        """
        target = self._path + path
        if not _TARGET.fullmatch(target):
            raise self.failed("the request cannot be sent as it is")
        head, content = f"{method} {target} HTTP/1.1\r\n{self._head}", b""
        if body is not None:
            content = body.content
            head += f"Content-Type: {body.kind}\r\nContent-Length: {len(content)}\r\n"
        until_s = self._clock() + within_s
        try:
            answer = self._connections.exchange(
                f"{head}\r\n".encode("ascii") + content, until_s=until_s, at_most=at_most
            )
        except TimeoutError as error:
            raise self.failed(f"no answer within {within_s:g} s") from error
        except NoAnswer as error:  # it may quote the answer, so it is not chained
            raise self.failed(self.redact(str(error))) from None
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

    def check_output(self, printed: str) -> None:
        """Raise EndpointError if the output of a program contains the whole value of a header."""
        if any(secret in printed for secret in self._telling):
            raise self.failed("the program's output has the value of a request header; servers must not pass those on")

    def failed(self, reason: str) -> EndpointError:
        """Return an error of this server. `reason` is shown as it is."""
        return EndpointError(reason, endpoint=self._url)

    def close(self) -> None:
        """Close all connections. May be called twice."""
        self._connections.close()

    def _error(self, answer: Received) -> EndpointError:
        """Return the error of a status that is not the good one."""
        status = answer.status
        reason = f"answered {status}"
        if 300 <= status < 400:
            return self.failed(f"{reason}, a redirect; use the URL of its target")
        words = self.redact(answer.content.decode("utf-8", "replace"))  # before it is cut: the cut may be in a secret
        detail = " ".join(words.split())[:_REASON_CHARS]
        reason = f"{reason}: {detail}" if detail else reason
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


def _head(base: SplitResult, given: Mapping[str, str], url: str) -> str:
    """Return the headers of every request, as they are sent. Raises ConfigError."""
    host = _ascii_host(base)
    place = f"[{host}]" if ":" in host else host
    headers = {
        "Host": place if base.port in (None, _PORTS[base.scheme]) else f"{place}:{base.port}",
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
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
