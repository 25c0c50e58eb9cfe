"""Client of one HTTP server: each call has a deadline and a size limit, and ends in an answer or an `EndpointError`.

It decides which errors are the server's fault, which mean that it is busy, and which of its words may be shown. The
executor knows the requests and the meaning of answers. Headers may hold secrets: their values appear in no error or
repr, even if the server quotes them.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from balancer.client_errors import BUSY_STATUSES, asked_pause_s
from balancer.errors import CannotTell, ConfigError, EndpointError, EndpointOverloaded
from balancer.sandbox.http.deadline import DEADLINE, DeadlineTransport
from balancer.values.headers import checked_headers, secrets_of
from balancer.values.redaction import Redaction

__all__ = ["Body", "ServerClient", "UnexpectedStatus"]

_REASON_CHARS = 200
_TOO_LONG = 413  # a limit of its own, for requests
_NOT_THERE = ("answered 404", "answered 405", "answered 501")
# A program may print a shorter value, e.g. "application/json", by chance.
_TELLING_CHARS = 20

Answer = TypeVar("Answer", bound=BaseModel)


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
        transport: sends the requests; by default one that keeps deadlines on the socket.
        clock: the transport's clock, in seconds.

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
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._base = _base(url)
        self._clock = clock
        given = checked_headers(headers, url)
        secrets = secrets_of(given)
        self.redact = Redaction.of((secret, "***") for secret in secrets)
        self._telling = [secret for secret in secrets if len(secret) >= _TELLING_CHARS]
        self._client = httpx2.Client(
            transport=transport or _transport(self._base, clock),
            # A compressed answer may be a thousand times as long when unpacked.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **given},
            follow_redirects=False,
            trust_env=False,
        )

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
        if self._client.is_closed:
            raise self.failed("the executor is closed")
        until_s = self._clock() + within_s
        content = None if body is None else body.content
        request = self._client.build_request(
            method, self._base.copy_with(raw_path=self._raw_path(path)), content=content
        )
        request.extensions[DEADLINE] = until_s
        if body is not None:
            request.headers["Content-Type"] = body.kind
        try:
            response = self._client.send(request, stream=True)
            try:
                answer = self._read(response, until_s, at_most)
            finally:
                response.close()
        except httpx2.TimeoutException as error:
            raise self.failed(f"no answer within {within_s:g} s") from error
        except httpx2.HTTPError as error:
            words = self.redact(str(error))  # it may quote the answer, so it is not chained
            raise self.failed(f"{type(error).__name__}: {words}") from None
        self._check(response, answer, good)
        return answer

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
        self._client.close()

    def _raw_path(self, path: str) -> bytes:
        return self._base.raw_path.partition(b"?")[0].rstrip(b"/") + path.encode()

    def _read(self, response: httpx2.Response, until_s: float, at_most: int) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self.failed("sent a compressed answer, which was not requested")
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > at_most:
                raise self.failed(f"answered with more than {at_most} bytes")
            if self._clock() >= until_s:
                raise httpx2.ReadTimeout("the deadline has passed")
        return bytes(content)

    def _check(self, response: httpx2.Response, content: bytes, good: int) -> None:
        """Raise for every status except `good`."""
        status = response.status_code
        if status == good:
            return
        reason = f"answered {status}"
        if response.is_redirect:
            raise self.failed(f"{reason}, a redirect; use the URL of its target")
        words = self.redact(content.decode("utf-8", "replace"))  # before it is cut: the cut may be within a secret
        detail = " ".join(words.split())[:_REASON_CHARS]
        reason = f"{reason}: {detail}" if detail else reason
        if status in BUSY_STATUSES:
            pause_s = asked_pause_s(response.headers, received=datetime.now(UTC))
            raise EndpointOverloaded(reason, endpoint=self._url, retry_after_s=pause_s)
        if status == _TOO_LONG:
            raise CannotTell(reason, endpoint=self._url)
        raise UnexpectedStatus(reason, endpoint=self._url, status=status, words=words)


def _base(url: str) -> httpx2.URL:
    scheme, found, rest = url.partition("://")
    try:
        base = httpx2.URL(scheme.rpartition("+")[2] + found + rest)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"endpoint url is {url!r}: {error}") from error
    if base.scheme not in ("http", "https") or not base.host:
        raise ConfigError(f"endpoint url is {url!r}; it must be like http://10.0.0.1:8080/")
    return base


def _transport(base: httpx2.URL, clock: Callable[[], float]) -> DeadlineTransport:
    verify = httpx2.create_ssl_context(trust_env=False) if base.scheme == "https" else None
    return DeadlineTransport(verify=verify, clock=clock)
