"""Requests to one HTTP server over aiohttp: each has a deadline for all of it, and a limit on its answer.

No client for threads bounds a whole call: its timeout starts anew with every byte, so a server that answers in drips
holds its caller for ever. A task of an event loop can be stopped at any time. So one thread of the process has a loop,
and each request is a task of it.

There are no proxies, redirects or retries of a POST, and nothing is unpacked.
"""

import asyncio
import io
import os
import ssl
import sys
import threading
import time

import aiohttp
from yarl import URL

from balancer.sandbox.http.client import NoAnswer, Received, Request

__all__ = ["Connections"]

# uvicorn, which serves most sandboxes, closes idle connections after 5 s. They are dropped before that, or a
# request would now and then meet a closing connection.
_IDLE_S = 3.0
_CLOSE_S = 5.0
_HEAD_BYTES = 2**16
_HEADERS = 128
_BROKEN = "RemoteProtocolError: the server closed the connection before the end of its answer"

_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}  # by process: a fork has no thread of its parent
_MAKING = threading.Lock()


class Connections:
    """Sends requests to one server, each on a connection of its own while it lasts. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: dict[int, aiohttp.ClientSession] = {}  # by process, as the loops
        self._closed = False

    def exchange(self, request: Request) -> Received:
        """Send `request` and return the answer. Raises as `Exchange`."""
        until_s = time.monotonic() + request.within_s  # the clock of the loop
        answer = asyncio.run_coroutine_threadsafe(self._answer(request, until_s), _own_loop())
        try:
            return answer.result()
        except BaseException:
            answer.cancel()
            raise

    async def _answer(self, request: Request, until_s: float) -> Received:
        try:
            async with (
                asyncio.timeout_at(until_s),
                self._session().request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=io.BytesIO(request.content) if request.content else None,  # in pieces: others go on meanwhile
                    allow_redirects=False,
                ) as response,
            ):
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise NoAnswer("sent a compressed answer, which was not requested")
                pieces, size = [], 0
                async for piece in response.content.iter_any():
                    pieces.append(piece)
                    size += len(piece)
                    if size > request.at_most:
                        raise NoAnswer(f"answered with more than {request.at_most} bytes")
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Received(response.status, headers, b"".join(pieces))
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
            raise NoAnswer(_BROKEN) from None
        except aiohttp.ClientConnectorError as error:
            raise NoAnswer(f"ConnectError: {error.os_error}") from None
        except aiohttp.ClientResponseError as error:
            raise NoAnswer(f"RemoteProtocolError: {error.message}") from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise NoAnswer(f"RemoteProtocolError: {error}") from None

    def _session(self) -> aiohttp.ClientSession:
        """Return the session of this process. Used from its loop only."""
        if self._closed:
            raise NoAnswer("the executor is closed")
        if (session := self._sessions.get(os.getpid())) is None:
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_IDLE_S, use_dns_cache=False, ssl=_tls_context()
            )
            session = self._sessions[os.getpid()] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Content-Type"),
                max_line_size=_HEAD_BYTES,
                max_field_size=_HEAD_BYTES // _HEADERS,
                max_headers=_HEADERS,
            )
        return session

    def close(self) -> None:
        """Close all connections. May be called twice."""
        self._closed = True
        if (session := self._sessions.pop(os.getpid(), None)) is not None:
            asyncio.run_coroutine_threadsafe(session.close(), _own_loop()).result(_CLOSE_S)


def _own_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process, which a thread of its own runs."""
    with _MAKING:
        if (loop := _LOOPS.get(os.getpid())) is None:
            loop = _LOOPS[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="balancer-http", daemon=True).start()
        return loop


def _tls_context() -> ssl.SSLContext:
    """Return what trusts the certificates that the system trusts."""
    if sys.platform in ("darwin", "win32"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context
