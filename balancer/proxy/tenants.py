"""Tenants: who sends a request, by a token, and how many requests each may have under way.

A token is looked up by its digest with a key that only this process knows. So the time that this takes depends on
nothing that somebody outside could use to guess a token.
"""

import hashlib
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from balancer.errors import ConfigError
from balancer.proxy.heads import RequestHead
from balancer.proxy.refusals import Refusal
from balancer.settings.proxy import TenantSettings, tenant_mistakes

__all__ = ["Tenant", "Tenants"]

_TOKEN_HEADERS = ("authorization", "x-api-key", "api-key")  # as OpenAI's, Anthropic's and Azure's clients send it


@dataclass(slots=True, eq=False)
class Tenant:
    """Somebody who may send requests.

    Attributes:
        name, priority, labels, most: as in `TenantSettings`; by default of everybody.
        busy: how many requests are under way or wait.
    """

    name: str = ""
    priority: int = 0
    labels: frozenset[str] = frozenset()
    most: float = math.inf
    busy: int = 0


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
            tenant = old.get(each.name) or Tenant(each.name)
            tenant.priority, tenant.labels, tenant.most = each.priority, frozenset(each.labels), each.most or math.inf
            self._by_digest[self._digest(each.token.get_secret_value().encode())] = tenant
        self._everybody = None if known else Tenant()

    @property
    def headers(self) -> frozenset[str]:
        """The headers that are not passed on, because they may have a token of the proxy."""
        return frozenset() if self._everybody is not None else frozenset(_TOKEN_HEADERS)

    def of(self, head: RequestHead) -> Tenant:
        """Return who sends a request. Raises Refusal: nobody who may."""
        if self._everybody is not None:
            return self._everybody
        for name in _TOKEN_HEADERS:
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
        shown = any(name in head.headers for name in _TOKEN_HEADERS)
        said = "the token is of no tenant" if shown else "this proxy needs a token"
        why = f"{said}; send the header Authorization with Bearer and the token"
        raise Refusal(401, why, "no_token", headers=((b"WWW-Authenticate", b"Bearer"),))

    def _digest(self, token: bytes) -> bytes:
        return hashlib.blake2b(token, key=self._key, digest_size=32).digest()
