"""Address of a cluster: `balancer://host:port`, or `balancers://` over TLS."""

from typing import NamedTuple
from urllib.parse import urlsplit

from balancer.errors import ConfigError

__all__ = ["PORT", "Address", "address_of", "is_loopback"]

PORT = 7465
_SCHEMES = {"balancer": False, "balancers": True}


class Address(NamedTuple):
    """Host, port, and whether TLS is used."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'balancers' if self.tls else 'balancer'}://{host}:{self.port}"


def address_of(url: str) -> Address:
    """Return the address of `url`. Raises ConfigError."""
    allowed = f"it must be like 'balancer://10.0.0.1:{PORT}', or balancers:// for TLS"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"found {url!r}: {error}; {allowed}") from None
    if parts.username or parts.password:
        raise ConfigError(f"the URL of a cluster has a user or a password; {allowed}; give the token as token=")
    if parts.scheme not in _SCHEMES or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError(f"found {url!r}; {allowed}")
    return Address(host, port or PORT, _SCHEMES[parts.scheme])


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    return host in ("localhost", "::1") or host.startswith("127.")
