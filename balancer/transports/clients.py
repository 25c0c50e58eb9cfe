"""OpenAI clients whose requests go through a pool: `balancer.openai(pool)`, `balancer.aopenai(pool)`.

They get a placeholder URL, and a dummy key so that a key in the environment is not sent to every server. The real key
of an endpoint is in its headers.
"""

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from balancer.errors import BalancerError
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.transports.httpx_transports import LIBRARIES, AsyncBalancedTransport, BalancedTransport
from balancer.transports.request_options import RequestKeywords
from balancer.values.wording import did_you_mean

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["aopenai", "openai", "openai_http"]

_BASE_URL = "http://pool/v1"
_NO_KEY = "none"
_OURS = "http_client"


def openai(
    pool: Pool, *, api_key: str = _NO_KEY, base_url: str = _BASE_URL, client: Any = None, **settings: Any
) -> "OpenAI":
    """Return an `openai.OpenAI` whose requests go through `pool`.

    Args:
        pool: its endpoints are the servers, with or without "/v1" at the end of their URLs, and with their keys in
            their headers.
        api_key: sent to endpoints that have no `Authorization` header.
        base_url: a placeholder. Its path comes before that of each request.
        client: further arguments for `openai.OpenAI`, a mapping such as {"timeout": 60}.
        settings: further arguments for `BalancedTransport`, such as `key=prompt_key()`, and for `openai.OpenAI`, such
            as `timeout=60`. Each goes to the one that has it.

    Raises:
        MissingExtra: openai is not installed.
        BalancerError: its version uses an HTTP library that the transports do not know.
        TypeError: neither has this argument, or it is `http_client`, which this function sets.
    """
    require("transports", "balancer.openai", "openai")
    from openai import DEFAULT_TIMEOUT, OpenAI

    transport, theirs = _shared_out("openai", settings, client, OpenAI)
    http = openai_http().Client(
        transport=BalancedTransport(pool, **transport), timeout=DEFAULT_TIMEOUT, follow_redirects=True
    )
    made: OpenAI = _class_for(OpenAI, _ThreadTold)(api_key=api_key, base_url=base_url, http_client=http, **theirs)
    return made


def aopenai(
    pool: Pool, *, api_key: str = _NO_KEY, base_url: str = _BASE_URL, client: Any = None, **settings: Any
) -> "AsyncOpenAI":
    """Return an `openai.AsyncOpenAI` whose requests go through `pool`. Args and errors are those of `openai`."""
    require("transports", "balancer.aopenai", "openai")
    from openai import DEFAULT_TIMEOUT, AsyncOpenAI

    transport, theirs = _shared_out("aopenai", settings, client, AsyncOpenAI)
    http = openai_http().AsyncClient(
        transport=AsyncBalancedTransport(pool, **transport), timeout=DEFAULT_TIMEOUT, follow_redirects=True
    )
    made: AsyncOpenAI = _class_for(AsyncOpenAI, _TaskTold)(
        api_key=api_key, base_url=base_url, http_client=http, **theirs
    )
    return made


def openai_http() -> ModuleType:
    """Return the HTTP library of the installed openai: httpx for its versions 1 and 2, httpx2 from version 3 on.

    Raises:
        BalancerError: it is another one.
    """
    from openai import DEFAULT_TIMEOUT, __version__

    imported = (sys.modules[name] for name in LIBRARIES if name in sys.modules)
    found = next((each for each in imported if isinstance(DEFAULT_TIMEOUT, each.Timeout)), None)
    if found is None:
        raise BalancerError(
            f"openai {__version__} sends its requests by neither {' nor '.join(LIBRARIES)}, which are what a pool's "
            "transports know; install openai from 1.0 to 3.x"
        )
    return found


def _hides_errors() -> bool:
    """Return whether OpenAI's client tries again after any error of a transport, and says only "Connection error.".

    From version 3 on, it raises its own kinds of errors as they are, which the transports make of their last ones.
    """
    return openai_http().__name__ == "httpx"


class _Shared:
    """A client whose deep copy is itself, as pool and connections cannot be copied. dspy copies what it is given."""

    def __deepcopy__(self, memo: object) -> Self:
        return self


class _ThreadTold(_Shared):
    """Raises the transport's error in place of the one that hides it."""

    def request(self, *given: Any, **more: Any) -> Any:
        try:
            return super().request(*given, **more)  # type: ignore[misc]
        except Exception as error:
            _raise_hidden(error)
            raise


class _TaskTold(_Shared):
    async def request(self, *given: Any, **more: Any) -> Any:
        try:
            return await super().request(*given, **more)  # type: ignore[misc]
        except Exception as error:
            _raise_hidden(error)
            raise


def _raise_hidden(error: Exception) -> None:
    from openai import OpenAIError

    if isinstance(error.__cause__, OpenAIError):
        raise error.__cause__


def _class_for(client: type, told: type) -> Any:
    return type(client.__name__, (told if _hides_errors() else _Shared, client), {})


def _shared_out(
    name: str, settings: dict[str, Any], client: Any, theirs: Callable[..., Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings for the transport, and those for OpenAI's client."""
    ours, others = {"inner", *RequestKeywords.__annotations__}, _names(theirs) - {_OURS}
    given = dict(client or {})
    if _OURS in given or _OURS in settings:
        raise TypeError(f"balancer.{name}() makes the {_OURS} itself; give your own transport as inner=")
    for key in settings:
        if key not in ours | others:  # the value may be a key, so it is not shown
            near = did_you_mean(key, ours | others)
            raise TypeError(
                f"balancer.{name}() takes no {key!r}{near} (of the transport: {', '.join(sorted(ours))}; of OpenAI's "
                f"client: {', '.join(sorted(others))})"
            )
    transport = {key: settings.pop(key) for key in ours & settings.keys()}
    return transport, {**({"max_retries": 0} if _hides_errors() else {}), **given, **settings}


def _names(of: Callable[..., Any]) -> set[str]:
    named = inspect.signature(of).parameters.values()
    return {each.name for each in named if each.kind is each.KEYWORD_ONLY and not each.name.startswith("_")}
