"""Clients of OpenAI's whose requests go through a pool, ready made: `balancer.openai(pool)`, `balancer.aopenai(pool)`.

Decides what such a client is given that a user should not have to think of: a placeholder for a URL, and a key that is
nobody's, so that one in the environment is not sent to every server. Each endpoint's own key is in its headers.
"""

from typing import TYPE_CHECKING, Any

from balancer.plugins.extras import require
from balancer.shells.threads import Pool
from balancer.transports.sync import BalancedTransport
from balancer.transports.tasks import AsyncBalancedTransport

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["aopenai", "openai"]

_BASE_URL = "http://pool/v1"
_NO_KEY = "none"


def openai(
    pool: Pool, *, api_key: str = _NO_KEY, base_url: str = _BASE_URL, client: Any = None, **transport: Any
) -> "OpenAI":
    """Return an `openai.OpenAI` whose requests go through `pool`.

    Args:
        pool: its endpoints are the servers, with or without "/v1" at the end of their URLs; their keys are headers of
            theirs.
        api_key: sent to endpoints that have no `Authorization` of their own.
        base_url: a placeholder; its path comes before that of each request.
        client: more for `openai.OpenAI`, a mapping such as {"timeout": 60}.
        transport: more for `BalancedTransport`, such as `key=prompt_key()`.

    Raises:
        MissingExtra: openai is not installed.
    """
    require("llm", "balancer.openai")
    import httpx2
    from openai import DEFAULT_TIMEOUT, OpenAI

    http = httpx2.Client(transport=BalancedTransport(pool, **transport), timeout=DEFAULT_TIMEOUT, follow_redirects=True)
    return OpenAI(api_key=api_key, base_url=base_url, http_client=http, **(client or {}))


def aopenai(
    pool: Pool, *, api_key: str = _NO_KEY, base_url: str = _BASE_URL, client: Any = None, **transport: Any
) -> "AsyncOpenAI":
    """Return an `openai.AsyncOpenAI` whose requests go through `pool`. Args and errors are those of `openai`."""
    require("llm", "balancer.aopenai")
    import httpx2
    from openai import DEFAULT_TIMEOUT, AsyncOpenAI

    http = httpx2.AsyncClient(
        transport=AsyncBalancedTransport(pool, **transport), timeout=DEFAULT_TIMEOUT, follow_redirects=True
    )
    return AsyncOpenAI(api_key=api_key, base_url=base_url, http_client=http, **(client or {}))
