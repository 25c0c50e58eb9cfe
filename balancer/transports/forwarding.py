"""Request forwarding: URL and headers of a request as an endpoint gets it.

The client's own request is never changed. So errors, logs and responses show the placeholder host, and no headers of an
endpoint.
"""

import re
from functools import lru_cache

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError, EndpointError
from balancer.values.headers import secrets_of
from balancer.values.redaction import Redaction

__all__ = ["headers_of", "joined", "redacted"]

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


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """Return the headers for every request to `endpoint`. They replace those of the client, in whatever case."""
    has_host = any(name.lower() == "host" for name in endpoint.headers)
    ours = {} if has_host else {"Host": _split(endpoint.url)[1].rpartition("@")[2]}
    return ours | dict(endpoint.headers)


def redacted(error: Exception, endpoint: Endpoint) -> Exception:
    """Return `error`, or an error of its kind whose text does not contain the endpoint's headers. Never raises."""
    try:
        words = str(error)
    except Exception:  # it is not ours
        words = type(error).__name__
    secrets = (part for part in secrets_of(endpoint.headers) if len(part) >= _SHORTEST_SECRET)
    shown = Redaction.of((part, "***") for part in secrets)(words)
    if shown == words:
        return error
    try:
        other: Exception = type(error)(shown)
    except Exception:  # its constructor takes more than a text
        other = EndpointError(shown, endpoint=endpoint.name)
    other.__suppress_context__ = True
    return other
