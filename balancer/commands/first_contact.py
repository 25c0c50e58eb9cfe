"""First contact with an endpoint whose protocol the config does not say, as in a pool without [pipeline].

It is asked what costs nothing: a list of models, if its URL is that of OpenAI's API; a ping and a tiny program, if it
is a sandbox. A server that is neither has only accepted a connection, and that is all that is said.
"""

import http.client
import re
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from balancer.endpoint import Endpoint
from balancer.errors import EndpointError
from balancer.program import Executor
from balancer.sandbox.probes import HELLO_LIMITS, pings_of

__all__ = ["ACCEPTS", "NO_TOKEN", "FirstContact"]

ACCEPTS: Final = "accepts connections"
NO_TOKEN: Final = "it wants a token, and the config has none for it"
_PORTS: Final = {"http": 80, "https": 443}
_OF_MODELS: Final = re.compile(r"/v\d+[a-z0-9]*/?$")  # the path of an API of models, e.g. /v1
_MOST_BYTES: Final = 100
_REFUSED: Final = (401, 403)
_WITHIN_S: Final = 5.0


class FirstContact:
    """Asks one endpoint, when called.

    Args:
        endpoint: the endpoint.
        executor: would run programs on it; None: none is installed for its scheme.

    Attributes:
        said: how it answered; "": it was not asked, as its URL has no host.
        runs_programs: whether it has run a program.
    """

    def __init__(self, endpoint: Endpoint, executor: Executor | None) -> None:
        self._endpoint = endpoint
        self._executor = executor
        self._parts = urlsplit(endpoint.url)
        self.said = ""
        self.runs_programs = False

    def __call__(self) -> None:
        """Ask it.

        Raises:
            Exception: it cannot be reached, refuses the headers of the config, or fails a program.
        """
        parts = self._parts
        if parts.scheme not in _PORTS:  # the scheme says which server it is
            if self._executor is not None:
                self._executor.ping()
                self._run_program(self._executor)
            elif parts.hostname and parts.port:
                socket.create_connection((parts.hostname, parts.port), timeout=_WITHIN_S).close()
                self.said = ACCEPTS
        elif _OF_MODELS.search(parts.path):
            status, _ = self._get("/models")
            self.said = "answers" if status == 200 else self._of(status)
        else:
            status, content = self._get("/v1/ping")
            if status == 200 and content.strip(b'" \r\n') == b"pong" and self._executor is not None:
                self._run_program(self._executor)
            else:
                self.said = self._of(status)

    def _run_program(self, executor: Executor) -> None:
        pings_of({"": executor}, "program", HELLO_LIMITS)[""]()
        self.said, self.runs_programs = "answers", True

    def _of(self, status: int) -> str:
        """Return what a status says. Raises EndpointError if it refuses the headers of the config."""
        if status not in _REFUSED:
            return ACCEPTS
        if self._endpoint.headers:
            raise EndpointError(f"it refuses the headers of the config with {status}; look at the token in them")
        return f"answers {status}: {NO_TOKEN}"

    def _get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a GET; status 0: something accepts connections, but does not speak HTTP to us."""
        parts, headers = self._parts, {"Accept": "application/json", **self._endpoint.headers}
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        socket.create_connection((host, port), timeout=_WITHIN_S).close()
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(host, port, timeout=_WITHIN_S)
        try:
            connection.request("GET", parts.path.rstrip("/") + path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_BYTES)
        except (
            http.client.HTTPException,
            ssl.SSLError,
            ConnectionError,
        ):  # clients may have a certificate of their own
            return 0, b""
        finally:
            connection.close()
