"""Tenants: who sends a request, by a token, and how many requests each may have under way.

A token is looked up by its digest with a key that only this process knows. So the time that this takes depends on
nothing that somebody outside could use to guess a token.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from balancer.errors import ConfigError
from balancer.proxy.heads import RequestHead
from balancer.settings.proxy import TenantSettings, tenant_mistakes

__all__ = ["TOKEN_HEADERS", "Tenant", "Tenants"]

TOKEN_HEADERS = ("authorization", "x-api-key", "api-key")
"""Where a token may be: as OpenAI's, Anthropic's and Azure's clients send it."""


@dataclass(slots=True, eq=False)
class Tenant:
    """Somebody who may send requests.

    Attributes:
        settings: of the config.
        busy: how many requests are under way or wait.
    """

    settings: TenantSettings | None = None
    busy: int = 0
    labels: frozenset[str] = field(default_factory=frozenset)

    @property
    def name(self) -> str:
        """Its name; "" for everybody."""
        return "" if self.settings is None else self.settings.name

    @property
    def full(self) -> bool:
        """Whether it has as many requests under way as it may."""
        most = None if self.settings is None else self.settings.most
        return most is not None and self.busy >= most


class Tenants:
    """All tenants.

    Args:
        known: of the config; none: everybody may send requests, as one tenant.
        before: the tenants until now; those of the same names keep their requests under way.

    Raises:
        ConfigError: a token could be guessed, or cannot be sent; two tenants have one name or token; or nobody is left,
            which would let everybody in.
    """

    def __init__(self, known: Sequence[TenantSettings], before: "Tenants | None" = None) -> None:
        if mistakes := list(tenant_mistakes(known)):
            raise ConfigError(mistakes)
        old = {} if before is None else {each.name: each for each in before._by_digest.values()}
        if old and not known:
            raise ConfigError("tenants: there are none any more, which would let everybody in; restart for that")
        self._key = secrets.token_bytes(32)
        self._by_digest: dict[bytes, Tenant] = {}
        for each in known:
            tenant = old.get(each.name) or Tenant()
            tenant.settings, tenant.labels = each, frozenset(each.labels)
            self._by_digest[self._digest(each.token.get_secret_value().encode())] = tenant
        self._everybody = None if known else Tenant()

    @property
    def headers(self) -> frozenset[str]:
        """The headers that are not passed on, because they may have a token of the proxy."""
        return frozenset() if self._everybody is not None else frozenset(TOKEN_HEADERS)

    def of(self, head: RequestHead) -> Tenant | None:
        """Return who sends a request; None: nobody who may."""
        if self._everybody is not None:
            return self._everybody
        for name in TOKEN_HEADERS:
            said = head.headers.get(name)
            if said is None:
                continue
            if name == "authorization":
                scheme, _, said = said.partition(" ")
                if scheme.lower() != "bearer":
                    continue
            found = self._by_digest.get(self._digest(said.strip().encode(errors="replace")))
            if found is not None:
                return found
        return None

    def names_one(self, head: RequestHead) -> bool:
        """Return whether a request has a header for a token, be it right or wrong."""
        return any(name in head.headers for name in TOKEN_HEADERS)

    def _digest(self, token: bytes) -> bytes:
        return hashlib.blake2b(token, key=self._key, digest_size=32).digest()
