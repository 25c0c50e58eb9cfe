"""The executor for HTTP endpoints that speak SandboxFusion's API: its own servers, and `balancer sandbox`.

Sends one request per run and keeps a deadline of its own for it, whatever the server does. It must not know how
a run is put into words (`fusion_request`) or what the answer means (`fusion_answer`). Headers may hold secrets:
their values appear in no error, result, log or repr, not even where the server quotes them.
"""

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import httpx2
from pydantic import ValidationError

from balancer.errors import ConfigError, EndpointError, EndpointOverloaded
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.fusion.answer import execution_of_answer
from balancer.sandbox.fusion.request import request_for
from balancer.sandbox.fusion.wire import RunCodeAnswer
from balancer.sandbox.http.deadline import DEADLINE, DeadlineTransport
from balancer.sandbox.local.languages import LANGUAGES
from balancer.settings.redaction import Redaction

__all__ = ["FusionExecutor", "parse_retry_after"]

_PING_S = 5.0
_PING_BYTES = 2**16
# What a call may take beyond the program and its compiler: connecting, sending, waiting for a free core.
_MARGIN_S = 10.0
# JSON writes a control character in six bytes; there are two streams, and some bytes around them.
_JSON_FACTOR = 2 * 6
_JSON_FRAME_BYTES = 2**20
_BUSY = (429, 503)
_REASON_CHARS = 200
# A shorter value, e.g. "application/json", may be in what a program prints by chance.
_TELLING_CHARS = 20
_DIGITS = 18  # of a number of seconds; more would only make it infinite
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")  # RFC 9110, without its obsolete parts


class FusionExecutor:
    """Runs programs on a SandboxFusion server. Thread-safe.

    Args:
        url: the server, e.g. "http://10.0.0.1:8080/"; a path before the API's own is kept.
        options: `headers` are sent with every request.
        transport: sends the requests; by default one that keeps deadlines on the socket.
        clock: the transport's clock, in seconds.

    Raises:
        ConfigError: the URL or a header cannot be used.
    """

    languages = frozenset(LANGUAGES)

    def __init__(
        self,
        url: str,
        options: ExecutorOptions | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._base = _base(url)
        self._clock = clock
        headers = _checked((options or ExecutorOptions()).headers, url)
        secrets = _secrets(headers)
        self._redact = Redaction.of((secret, "***") for secret in secrets)
        self._telling = [secret for secret in secrets if len(secret) >= _TELLING_CHARS]
        self._client = httpx2.Client(
            transport=transport or _transport(self._base, clock),
            # A compressed answer may be a thousand times as long as it looks.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
            follow_redirects=False,
            trust_env=False,
        )

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        Header values are "***" in what the server says and in the standard error. The standard output is left as it is,
        for verdicts depend on it: one that holds a value of 20 characters or more is the server's fault.

        SandboxFusion measures wall time only (`cpu_measured` is False), and passes at most 128 KiB of output
        reliably: more is OUTPUT_LIMIT. `balancer sandbox` measures CPU time and has no such bound.

        Raises:
            EndpointError: the server failed or did not answer in time.
            EndpointOverloaded: it said that it has too much to do.
            ValueError: the language is not known, or a file name is not allowed.
        """
        asked = request_for(program, stdin, limits, files)
        body = asked.body.model_dump_json(exclude_none=True).encode()
        cap = _JSON_FACTOR * limits.output_bytes + _JSON_FRAME_BYTES
        answer = self._parsed(self._call("POST", "/run_code", body, asked.total_s + _MARGIN_S, cap))
        self._check_output(answer)
        return execution_of_answer(
            answer,
            language=program.language,
            scripted=asked.scripted,
            limits=limits,
            endpoint=self._url,
            redact=self._redact,
        )

    def ping(self) -> None:
        """Return if the server answers.

        Raises:
            EndpointError: it does not, or it is something else.
        """
        content = self._call("GET", "/v1/ping", None, _PING_S, _PING_BYTES)
        if content.strip(b'" \r\n') != b"pong":
            raise self._failed("answered /v1/ping with something else than pong; is it a SandboxFusion server?")

    def close(self) -> None:
        """Close all connections. May be called twice."""
        self._client.close()

    def __repr__(self) -> str:
        return f"<FusionExecutor {self._url}>"

    def _call(self, method: str, path: str, body: bytes | None, total_s: float, cap: int) -> bytes:
        """Return the body of a good answer that came within `total_s` seconds and `cap` bytes."""
        if self._client.is_closed:
            raise self._failed("the executor is closed")
        until_s = self._clock() + total_s
        request = self._client.build_request(method, self._base.copy_with(raw_path=self._raw_path(path)), content=body)
        request.extensions[DEADLINE] = until_s
        if body is not None:
            request.headers["Content-Type"] = "application/json"
        try:
            response = self._client.send(request, stream=True)
            try:
                content = self._read(response, until_s, cap)
            finally:
                response.close()
        except httpx2.TimeoutException as error:
            raise self._failed(f"no answer within {total_s:g} s") from error
        except httpx2.HTTPError as error:
            words = self._redact(str(error))  # it may quote the answer, so it is not chained either
            raise self._failed(f"{type(error).__name__}: {words}") from None
        self._check(response, content)
        return content

    def _raw_path(self, path: str) -> bytes:
        return self._base.raw_path.partition(b"?")[0].rstrip(b"/") + path.encode()

    def _read(self, response: httpx2.Response, until_s: float, cap: int) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._failed("answered in a compressed form that was not asked for")
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > cap:
                raise self._failed(f"answered with more than {cap} bytes")
            if self._clock() >= until_s:
                raise httpx2.ReadTimeout("the deadline has passed")
        return bytes(content)

    def _check(self, response: httpx2.Response, content: bytes) -> None:
        """Raise for every status but 200."""
        status = response.status_code
        if status == 200:
            return
        reason = f"answered {status}"
        if response.is_redirect:
            raise self._failed(f"{reason}, a redirect; give the URL that it leads to")
        words = self._redact(content.decode("utf-8", "replace"))  # before it is cut, which may be within a secret
        detail = " ".join(words.split())[:_REASON_CHARS]
        reason = f"{reason}: {detail}" if detail else reason
        if status in _BUSY:
            retry_s = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            raise EndpointOverloaded(reason, endpoint=self._url, retry_after_s=retry_s)
        raise self._failed(reason)

    def _parsed(self, content: bytes) -> RunCodeAnswer:
        try:
            return RunCodeAnswer.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "body"
            raise self._failed(self._redact(f"the answer is malformed: {where}: {first['msg']}")) from None

    def _check_output(self, answer: RunCodeAnswer) -> None:
        printed = (answer.run_result and answer.run_result.stdout) or ""
        if any(secret in printed for secret in self._telling):
            raise self._failed("the program's output holds the value of a header; a server must not hand them on")

    def _failed(self, reason: str) -> EndpointError:
        return EndpointError(reason, endpoint=self._url)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), or None if it says nothing.

    Args:
        value: the header: whole seconds, or a date.
        now: what a date is compared with; in UTC.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_DIGITS])
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # e.g. a year or a zone of twenty digits
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000": UTC, of unknown place
    return max(0.0, (date - now).total_seconds())


def _base(url: str) -> httpx2.URL:
    try:
        base = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"endpoint url is {url!r}: {error}") from error
    if base.scheme not in ("http", "https") or not base.host:
        raise ConfigError(f"endpoint url is {url!r}; it must be like http://10.0.0.1:8080/")
    return base


def _checked(headers: Mapping[str, str], url: str) -> dict[str, str]:
    """Return `headers` if they can be sent. A value may be a secret, so the error names only the header."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"endpoint {url}: {name!r} is no header name; allowed are letters, digits and hyphens")
        if not _FIELD.fullmatch(value):
            raise ConfigError(f"endpoint {url}: header {name!r} has a value that cannot be sent; plain ASCII can")
    return dict(headers)


def _secrets(headers: Mapping[str, str]) -> list[str]:
    """Return the values, and what follows the scheme in each ("Bearer ", "Basic ")."""
    return [text for value in headers.values() for text in (value, value.partition(" ")[2].strip()) if text]


def _transport(base: httpx2.URL, clock: Callable[[], float]) -> DeadlineTransport:
    verify = httpx2.create_ssl_context(trust_env=False) if base.scheme == "https" else None
    return DeadlineTransport(verify=verify, clock=clock)
