"""Heads of HTTP messages: what is refused, what is passed on, and what is replaced (RFC 9110, RFC 9112).

Names of headers are compared in lower case. aiohttp has checked the syntax strictly. So a head that gets here has one
`Host`, no bare CR or LF, no folded line, no white space before a colon, and not both `Content-Length` and
`Transfer-Encoding`.
"""

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web
from multidict import CIMultiDict
from yarl import URL

from balancer.endpoint import Endpoint
from balancer.transports.forwarding import headers_of, joined

__all__ = [
    "BadRequest",
    "Header",
    "RequestHead",
    "answer_head",
    "answer_headers",
    "chunk",
    "dated",
    "first_of",
    "header_map",
    "request_head",
    "tokens_of",
]

Header = tuple[bytes, bytes]

_ID: Final = f"balancer-{secrets.token_hex(4)}".encode()  # in `Via`: a request that comes back is a loop

# For one connection only (RFC 9110, 7.6.1), or written anew here.
_ANSWER_HOP: Final = frozenset(
    (
        b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
        b"upgrade content-length"
    ).split()
)
_HOP: Final = _ANSWER_HOP | {b"http2-settings", b"expect", b"host", b"via"}
_FORWARDED: Final = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"))
_OURS: Final = frozenset((b"balancer-deadline", b"balancer-key"))
_HOST: Final = re.compile(rb"([A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
_TARGET: Final = re.compile(rb"/[\x21\x22\x24-\x7e]*")  # visible ASCII without "#"
_DOTS: Final = re.compile(rb"(^|[/\\])\.\.?($|[/\\;?#\0])")
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


class BadRequest(Exception):
    """A request that is refused. Fields: `status`, and `why` in words."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(slots=True)
class RequestHead:
    """The head of a client's request.

    Attributes:
        method: e.g. b"GET".
        target: the path with its query.
        headers: all headers, in order.
        named: the first value of each header, by name in lower case.
        version: "1.0" or "1.1".
        upgrade: b"websocket" if the client asks for that protocol; b"": it asks for none that is passed on.
        length: how long its body is; None: the body comes in chunks.
        keeps: whether the connection may serve another request.
    """

    method: bytes
    target: bytes
    headers: list[Header]
    named: dict[bytes, bytes]
    version: str
    upgrade: bytes
    length: int | None
    keeps: bool

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]


def request_head(came: web.BaseRequest, most: int) -> RequestHead:
    """Return the head of a request, which has at most so many bytes. Raises BadRequest."""
    if came.version not in (HttpVersion10, HttpVersion11):
        raise BadRequest("this proxy speaks HTTP/1.1", 505)
    version = "1.1" if came.version == HttpVersion11 else "1.0"
    method, headers = came.method.encode(), [*came.raw_headers]
    if method in (b"CONNECT", b"TRACE"):
        raise BadRequest(f"{came.method} is not passed on", 405)
    target = came.raw_path.encode("utf-8", "surrogateescape")
    if len(target) + sum(len(name) + len(value) for name, value in headers) > most:
        raise BadRequest(f"the head of the request has more than {most} bytes", 431)
    named = {name.lower(): value for name, value in reversed(headers)}  # the first of each
    host = named.get(b"host")
    if host and not _HOST.fullmatch(host):
        raise BadRequest("the Host header is no host")
    if not target.startswith(b"/"):
        target = _origin_form(method, target, named)
    if not _TARGET.fullmatch(target):
        raise BadRequest("the target of the request has characters that must be escaped")
    if b"." in target or b"%" in target:
        _check_path(target)
    if _ID in named.get(b"via", b""):
        raise BadRequest("the request has come through this proxy before; an endpoint leads back to it", 508)
    chunks = b"transfer-encoding" in named
    if chunks and (version == "1.0" or named[b"transfer-encoding"].strip().lower() != b"chunked"):
        raise BadRequest("of the transfer codings only chunked is understood, and in HTTP/1.1 only", 501)
    length = None if chunks else int(named.get(b"content-length", b"0"))
    upgrade = named.get(b"upgrade", b"").strip().lower() if version == "1.1" else b""
    if upgrade != b"websocket" or method != b"GET" or length != 0 or b"upgrade" not in tokens_of(headers):
        upgrade = b""
    return RequestHead(method, target, headers, named, version, upgrade, length, came.keep_alive and version == "1.1")


def _origin_form(method: bytes, target: bytes, named: dict[bytes, bytes]) -> bytes:
    """Return the path and query of an absolute-form target, whose host replaces `Host` (RFC 9112, 3.2.2)."""
    if target == b"*" and method == b"OPTIONS":
        raise BadRequest("OPTIONS * asks about this proxy itself, which passes on GET, POST and all else", 501)
    try:
        url = urlsplit(target)
    except ValueError:
        raise BadRequest("the target of the request is no URL") from None
    if url.scheme.lower() not in (b"http", b"https") or not _HOST.fullmatch(url.netloc):
        raise BadRequest("the target of the request is neither a path nor an http URL")
    named[b"host"] = url.netloc
    rest = target[len(url.scheme) + 3 + len(url.netloc) :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _check_path(target: bytes) -> None:
    """Refuse paths with dot segments, as they could leave the path of an endpoint's URL."""
    path, before = target.partition(b"?")[0], b""
    while path != before:  # a server behind another may decode it twice
        path, before = unquote_to_bytes(path), path
    if _DOTS.search(path):
        raise BadRequest("the path has a segment . or .., which a client must resolve")


def tokens_of(headers: Iterable[Header], name: bytes = b"connection") -> frozenset[bytes]:
    """Return the words of a header with a list of them, in lower case."""
    said = [value for key, value in headers if key.lower() == name]
    return frozenset(word.strip().lower() for value in said for word in value.split(b",")) if said else frozenset()


def first_of(headers: Iterable[Header], name: bytes) -> bytes | None:
    """Return the first value of a header, by its name in lower case; None: there is none."""
    return next((value for key, value in headers if key.lower() == name), None)


class header_map(Mapping[str, str]):  # noqa: N801  # used like a function: a view of a list of headers
    """Headers by name, whatever its case; the first value of each."""

    def __init__(self, headers: Sequence[Header]) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        found = first_of(self._headers, name.lower().encode())
        if found is None:
            raise KeyError(name)
        return found.decode("latin-1")

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter({name.decode("latin-1").lower(): None for name, _ in self._headers})

    def __len__(self) -> int:
        return sum(1 for _ in self)


# -- to a server ---------------------------------------------------------------------------------------


class ForwardedRequest:
    """A request as servers get it.

    Args:
        head: of the client's request.
        peer: the client's address.
        secure: whether the client's connection has TLS.
        extend: whether the client's own forwarding headers are kept.
        without: names of headers, in lower case, that are not passed on, e.g. that of a token of the proxy.
    """

    def __init__(
        self, head: RequestHead, peer: str, *, secure: bool, extend: bool, without: frozenset[bytes] = frozenset()
    ) -> None:
        self._head = head
        drop = _HOP | _OURS | without
        if b"connection" in head.named:
            drop |= tokens_of(head.headers)
        named = head.named
        kept = [
            (name, value) for name, value in head.headers if (key := name.lower()) not in drop and key not in _FORWARDED
        ]
        came = b"https" if secure else b"http"
        if extend:
            known = [value for name, value in head.headers if name.lower() == b"x-forwarded-for"]
            seen = b", ".join([*known, peer.encode()])
            proto, host = named.get(b"x-forwarded-proto", came), named.get(b"x-forwarded-host", named.get(b"host", b""))
        else:
            seen, proto, host = peer.encode(), came, named.get(b"host", b"")
        kept += [(b"X-Forwarded-For", seen), (b"X-Forwarded-Proto", proto)]
        if host:
            kept.append((b"X-Forwarded-Host", host))
        via = [value for name, value in head.headers if name.lower() == b"via"]
        kept.append((b"Via", b", ".join([*via, head.version.encode() + b" " + _ID])))
        try:
            self._kept = [(name.decode(), value.decode()) for name, value in kept]
        except UnicodeDecodeError:
            raise BadRequest("a header has bytes that are no UTF-8") from None

    def for_endpoint(self, endpoint: Endpoint, length: int | None) -> tuple[URL, CIMultiDict[str]]:
        """Return the URL and the headers for `endpoint`. `length`: of the body; None: it is sent in chunks."""
        head = self._head
        url = URL(joined(endpoint.url, head.target.decode("ascii")), encoded=True).with_user(None)
        theirs = headers_of(endpoint)
        sent: CIMultiDict[str] = CIMultiDict(theirs)
        replaced = {name.lower() for name in theirs}
        sent.extend([(name, value) for name, value in self._kept if name.lower() not in replaced])
        if head.upgrade:
            sent["Connection"], sent["Upgrade"] = "Upgrade", "websocket"
        if length:
            sent["Content-Length"] = str(length)
        return url, sent


# -- to a client ---------------------------------------------------------------------------------------


def answer_headers(headers: Sequence[Header]) -> list[Header]:
    """Return the headers of a server's answer that are passed on."""
    drop = _ANSWER_HOP
    listed = tokens_of(headers)
    if listed:
        drop |= listed
    return [header for header in headers if header[0].lower() not in drop]


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
