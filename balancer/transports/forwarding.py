"""Request forwarding: URL, headers and body of a request as an endpoint gets it.

The client's own request is never changed. So errors, logs and responses show the placeholder host, and no headers of an
endpoint.
"""

import re
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.values.redaction import Redaction

__all__ = ["RequestBody", "forwarded", "headers_of", "joined", "without_secrets"]

_VERSION = re.compile(r"v\d+(\w*)")
_WEB = ("http", "https")
_SHORTEST_SECRET = 6  # a shorter value, e.g. "1", may be in a text by chance


@lru_cache(1024)
def _split(url: str) -> tuple[str, str, str, str]:
    """Return scheme, authority, path and query of an endpoint's URL."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower().rpartition("+")[2]  # "judge0+http" is http
    place, slash, path = rest.partition("#")[0].partition("/")
    place, asks, query = place.partition("?") if not slash else (place, "", "")
    path, asks, query = path.partition("?") if slash else ("", asks, query)
    if scheme not in _WEB or not place:
        raise ConfigError(
            f"endpoint url is {url!r}; a transport sends requests to http:// and https:// only: put other endpoints "
            "into a pool of their own, or give them a label"
        )
    return scheme, place, "/" + path if path else "", query


def joined(endpoint_url: str, target: str) -> str:
    """Return the URL for a request for `target`, a path with its query.

    The endpoint's own path comes first, and its query last. A version that both contain appears once: "/v1/models" at
    "http://10.0.0.1:8000/v1" is "http://10.0.0.1:8000/v1/models".

    Raises:
        ConfigError: the endpoint's URL is not http or https.
    """
    scheme, place, base, always = _split(endpoint_url)
    path, asks, query = target.partition("?")
    base = base.rstrip("/")
    first = path.lstrip("/").partition("/")[0]
    if _VERSION.fullmatch(first) and base.endswith(f"/{first}"):
        base = base[: -len(first) - 1]
    if always:
        asks, query = "?", f"{query}&{always}" if query else always
    return f"{scheme}://{place}{base}/{path.lstrip('/')}{asks}{query}"


@lru_cache(1024)
def _url(http: ModuleType, endpoint_url: str, target: bytes) -> Any:
    """Return the URL for a request; see `joined`. To read a URL takes a client as long as all that is done here."""
    return http.URL(joined(endpoint_url, target.decode("ascii")))


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """Return the headers for every request to `endpoint`. They replace those of the client, in whatever case."""
    ours = {"Host": _split(endpoint.url)[1].rpartition("@")[2]}
    if endpoint.headers:
        if any(name.lower() == "host" for name in endpoint.headers):
            ours.clear()
        ours.update(endpoint.headers)
    return ours


def without_secrets(text: str, endpoint: Endpoint) -> str:
    """Return `text`, e.g. of an error that quotes a request, without the values of the endpoint's headers."""
    values = [part for value in endpoint.headers.values() for part in (value, value.partition(" ")[2].strip())]
    return Redaction.of((part, "***") for part in values if len(part) >= _SHORTEST_SECRET)(text)


class RequestBody:
    """The body of a client's request, sent as often as possible.

    Attributes:
        begun: True once a byte of it was read.
    """

    def __init__(self, http: ModuleType, stream: Any) -> None:
        self._http = http
        self._stream = stream
        self.begun = False
        self._replays = _replays(http, stream)

    @property
    def may_be_sent(self) -> bool:
        """True unless reading has begun and cannot begin again."""
        return self._replays or not self.begun

    def stream(self) -> Any:
        """Return a stream of it for one attempt."""
        return self._stream if self._replays else _watched(self._http)(self)

    def pieces(self) -> Iterator[bytes]:
        """Yield its pieces. Sets `begun`."""
        self.begun = True
        return iter(self._stream)

    def pieces_later(self) -> AsyncIterator[bytes]:
        """Yield its pieces, for a task. Sets `begun`."""
        self.begun = True
        found: AsyncIterator[bytes] = self._stream.__aiter__()
        return found


def _replays(http: ModuleType, stream: Any) -> bool:
    """Return whether `stream` gives the same bytes each time, as bytes in memory and files that can be rewound do."""
    if isinstance(stream, http.ByteStream):
        return True
    fields = getattr(stream, "fields", None)  # of a multipart form
    if fields is None:
        return False
    return all(_rewinds(getattr(field, "file", b"")) for field in fields)


def _rewinds(file: Any) -> bool:
    return isinstance(file, str | bytes) or (hasattr(file, "seekable") and bool(file.seekable()))


@lru_cache(4)
def _watched(http: ModuleType) -> Any:
    """Return a class of streams that set `begun`. It must be of `http`'s own kind."""

    class Watched(http.SyncByteStream, http.AsyncByteStream):  # type: ignore[name-defined, misc]
        def __init__(self, body: RequestBody) -> None:
            self._body = body

        def __iter__(self) -> Iterator[bytes]:
            return self._body.pieces()

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._body.pieces_later()

    return Watched


def forwarded(http: ModuleType, request: Any, endpoint: Endpoint, body: RequestBody) -> Any:
    """Return `request` as `endpoint` gets it.

    Raises:
        ConfigError: the endpoint's URL is not http or https.
    """
    sent = http.Request(
        request.method,
        _url(http, endpoint.url, request.url.raw_path),
        headers=request.headers,
        stream=body.stream(),
        extensions=dict(request.extensions),
    )
    for name, value in headers_of(endpoint).items():
        sent.headers[name] = value
    return sent
