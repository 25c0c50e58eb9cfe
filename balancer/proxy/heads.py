"""Heads of HTTP messages: what is refused, what is passed on, and what is replaced (RFC 9110, RFC 9112).

aiohttp has checked the syntax strictly. So a head that gets here has one `Host`, no bare CR or LF, no folded line, no
white space before a colon, and not both `Content-Length` and `Transfer-Encoding`.
"""

import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from balancer.endpoint import Endpoint
from balancer.proxy.refusals import Header, Refusal
from balancer.transports.forwarding import headers_of, joined

__all__ = [
    "RequestHead",
    "answer_head",
    "answer_headers",
    "chunk",
    "dated",
    "endpoint_head",
    "forwarded",
    "request_head",
]

_ID: Final = f"balancer-{secrets.token_hex(4)}"  # in `Via`: a request that comes back is a loop

# For one connection only (RFC 9110, 7.6.1), or written anew here.
_ANSWER_HOP: Final = frozenset(
    (
        b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
        b"upgrade content-length"
    ).split()
)
_ALSO: Final = (
    b"http2-settings expect host via x-forwarded-for x-forwarded-proto x-forwarded-host forwarded balancer-deadline "
    b"balancer-key"
).split()
_DROPPED: Final = frozenset(name.decode() for name in (*_ANSWER_HOP, *_ALSO))
_HOST: Final = re.compile(r"([A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
_TARGET: Final = re.compile(r"/[\x21\x22\x24-\x7e]*")  # visible ASCII without "#"
_DOTS: Final = re.compile(rb"(^|[/\\])\.\.?($|[/\\;?#\0])")
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


@dataclass(slots=True)
class RequestHead:
    """The head of a client's request.

    Attributes:
        method: e.g. "GET".
        target: the path with its query.
        headers: all headers.
        host: of the target or of the headers; "": neither has one.
        version: "1.0" or "1.1".
        upgrade: "websocket" if the client asks for that protocol; "": it asks for none that is passed on.
        length: how long its body is; None: the body comes in chunks.
        keeps: whether the connection may serve another request.
    """

    method: str
    target: str
    headers: CIMultiDictProxy[str]
    host: str
    version: str
    upgrade: str
    length: int | None
    keeps: bool

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


def request_head(came: web.BaseRequest, most: int) -> RequestHead:
    """Return the head of a request, which has at most so many bytes. Raises Refusal."""
    if came.version not in (HttpVersion10, HttpVersion11):
        raise Refusal(505, "this proxy speaks HTTP/1.1")
    version = "1.1" if came.version == HttpVersion11 else "1.0"
    method, target, headers = came.method, came.raw_path, came.headers
    if method in ("CONNECT", "TRACE"):
        allowed = b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
        raise Refusal(405, f"{method} is not passed on", headers=(allowed,))
    if len(target) + sum(len(name) + len(value) for name, value in came.raw_headers) > most:
        raise Refusal(431, f"the head of the request has more than {most} bytes")
    host = headers.get("Host", "")
    if not target.startswith("/"):
        target, host = _origin_form(method, target)
    if host and not _HOST.fullmatch(host):
        raise Refusal(400, "the Host header is no host")
    if not _TARGET.fullmatch(target):
        raise Refusal(400, "the target of the request has characters that must be escaped")
    if "." in target or "%" in target:
        _check_path(target)
    if any(_ID in via for via in headers.getall("Via", ())):
        raise Refusal(508, "the request has come through this proxy before; an endpoint leads back to it")
    coding = headers.get("Transfer-Encoding")
    if coding is not None and (version == "1.0" or coding.lower() != "chunked"):
        raise Refusal(501, "of the transfer codings only chunked is understood, and in HTTP/1.1 only")
    length = None if coding is not None else int(headers.get("Content-Length", "0"))
    upgrade = headers.get("Upgrade", "").lower()
    asks = upgrade == "websocket" and version == "1.1" and method == "GET" and length == 0
    if not (asks and "upgrade" in _words(headers, "Connection")):
        upgrade = ""
    # Of a body in chunks aiohttp's parser would take the last trailer for a header of the next request
    keeps = came.keep_alive and version == "1.1" and coding is None
    return RequestHead(method, target, headers, host, version, upgrade, length, keeps)


def _origin_form(method: str, target: str) -> tuple[str, str]:
    """Return the path and query of an absolute-form target, and its host, which replaces `Host` (RFC 9112, 3.2.2)."""
    if target == "*" and method == "OPTIONS":
        raise Refusal(501, "OPTIONS * asks about this proxy itself, which passes on GET, POST and all else")
    try:
        url = urlsplit(target)
    except ValueError:
        raise Refusal(400, "the target of the request is no URL") from None
    if url.scheme.lower() not in ("http", "https") or not url.netloc:
        raise Refusal(400, "the target of the request is neither a path nor an http URL")
    rest = target[len(url.scheme) + 3 + len(url.netloc) :]
    return rest if rest.startswith("/") else "/" + rest, url.netloc


def _check_path(target: str) -> None:
    """Refuse paths with dot segments, as they could leave the path of an endpoint's URL."""
    path, before = target.partition("?")[0].encode(), b""
    while path != before:  # a server behind another may decode it twice
        path, before = unquote_to_bytes(path), path
    if _DOTS.search(path):
        raise Refusal(400, "the path has a segment . or .., which a client must resolve")


def _words(headers: CIMultiDictProxy[str], name: str) -> frozenset[str]:
    """Return the words of a header with a list of them, in lower case."""
    said = headers.getall(name, ())
    return frozenset(word.strip().lower() for value in said for word in value.split(",")) if said else frozenset()


# -- to a server ---------------------------------------------------------------------------------------


def forwarded(
    head: RequestHead, peer: str, *, secure: bool, extend: bool, without: frozenset[str] = frozenset()
) -> CIMultiDict[str]:
    """Return the headers of a request that servers get. Raises Refusal.

    Args:
        head: of the client's request.
        peer: the client's address.
        secure: whether the client's connection has TLS.
        extend: whether the client's own forwarding headers are kept.
        without: names of headers, in lower case, that are not passed on, e.g. that of a token of the proxy.
    """
    headers = head.headers
    drop = _DROPPED | without | _words(headers, "Connection")
    sent = CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in drop)
    seen, proto, host = peer, "https" if secure else "http", head.host
    if extend:
        seen = ", ".join([*headers.getall("X-Forwarded-For", ()), peer])
        proto, host = headers.get("X-Forwarded-Proto", proto), headers.get("X-Forwarded-Host", host)
    sent["X-Forwarded-For"], sent["X-Forwarded-Proto"] = seen, proto
    if host:
        sent["X-Forwarded-Host"] = host
    sent["Via"] = ", ".join([*headers.getall("Via", ()), f"{head.version} {_ID}"])
    if head.upgrade:
        sent["Connection"], sent["Upgrade"] = "Upgrade", head.upgrade
    if head.length:
        sent["Content-Length"] = str(head.length)
    try:
        "".join(sent.values()).encode()
    except UnicodeEncodeError:
        raise Refusal(400, "a header has bytes that are no UTF-8") from None
    return sent


def endpoint_head(head: RequestHead, sent: CIMultiDict[str], endpoint: Endpoint) -> tuple[URL, CIMultiDict[str]]:
    """Return the URL and the headers of a request for `endpoint`, whose own headers replace those that are `sent`."""
    headers = sent.copy()
    for name, value in headers_of(endpoint).items():
        headers[name] = value
    return URL(joined(endpoint.url, head.target), encoded=True).with_user(None), headers


# -- to a client ---------------------------------------------------------------------------------------


def answer_headers(headers: CIMultiDictProxy[str], raw: Sequence[Header]) -> list[Header]:
    """Return the headers of a server's answer that are passed on. `raw`: as they came."""
    drop = _ANSWER_HOP.union(word.encode() for word in _words(headers, "Connection"))
    tidy = ((name.rstrip(), value) for name, value in raw)  # aiohttp lets a server send "Connection : close"
    return [header for header in tidy if header[0].lower() not in drop]


def answer_head(status: int, reason: bytes, headers: Iterable[Header], framing: Iterable[Header] = ()) -> bytes:
    """Return the bytes of the head of an answer. `reason` b"": the usual one."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason or _REASONS.get(status, b""))]
    lines += [b"%b: %b\r\n" % header for header in headers]
    lines += [b"%b: %b\r\n" % header for header in framing]
    lines.append(b"\r\n")
    return b"".join(lines)


def chunk(piece: bytes) -> bytes:
    """Return a piece of a body as a chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def dated() -> Header:
    """Return the `Date` header of now."""
    return b"Date", formatdate(time.time(), usegmt=True).encode()
