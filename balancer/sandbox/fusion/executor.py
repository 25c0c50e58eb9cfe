"""The executor for HTTP endpoints that speak SandboxFusion's API: its own servers, and `balancer sandbox`.

Decides which request belongs to a run, how long its answer may take and how large it may be. How a run is put into
words is `request`'s business, what the answer means is `answer`'s, and what can go wrong on the way is
`sandbox.http.client`'s.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping

import httpx2

from balancer.errors import EndpointError
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.fusion.answer import execution_of_answer
from balancer.sandbox.fusion.request import request_for
from balancer.sandbox.fusion.wire import RunCodeAnswer
from balancer.sandbox.http.client import ServerClient
from balancer.sandbox.local.languages import LANGUAGES

__all__ = ["FusionExecutor"]

_PING_S = 5.0
_PING_BYTES = 2**16
# What a call may take beyond the program and its compiler: connecting, sending, waiting for a free core.
_MARGIN_S = 10.0
_TELLS_S = 3.0  # a server that takes longer to say what it runs is not asked again
# JSON writes a control character in six bytes; there are two streams, and some bytes around them.
_JSON_FACTOR = 2 * 6
_JSON_FRAME_BYTES = 2**20


class FusionExecutor:
    """Runs programs on a SandboxFusion server. Thread-safe.

    Args:
        url: the server, e.g. "http://10.0.0.1:8080/"; a path before the API's own is kept.
        options: `headers` are sent with every request; `languages`, if they are given, are believed.
        transport: sends the requests; by default one that keeps deadlines on the socket.
        clock: the transport's clock, in seconds.

    Raises:
        ConfigError: the URL or a header cannot be used.
    """

    def __init__(
        self,
        url: str,
        options: ExecutorOptions | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        options = options or ExecutorOptions()
        self._languages = options.languages
        self._asking = threading.Lock()
        self._server = ServerClient(url, options.headers, transport=transport, clock=clock)

    @property
    def languages(self) -> frozenset[str]:
        """The languages it can run: as the config or, asked once, the server says; else the usual."""
        with self._asking:
            if self._languages is None:
                self._languages = self._told_languages() or frozenset(LANGUAGES)
            return self._languages

    def _told_languages(self) -> frozenset[str] | None:
        """Return what the server says that it runs: `balancer sandbox` does; SandboxFusion has no such answer."""
        try:
            told = json.loads(self._server.get("/v1/languages", within_s=_TELLS_S, at_most=2**16))
        except (EndpointError, ValueError):
            return None
        if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
            return None
        return frozenset(told)

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        Header values are "***" in what the server says and in the standard error. The standard output is left as it is,
        for verdicts depend on it: one that holds a value of 20 characters or more is the server's fault.

        SandboxFusion measures wall time only (`cpu_measured` is False), and passes at most 128 KiB of output
        reliably: more is OUTPUT_LIMIT. `balancer sandbox` measures CPU time and has no such bound.

        Raises:
            EndpointError: the server failed or did not answer in time.
            EndpointOverloaded: it said that it has too much to do.
            ValueError: the language is not known, or a file name is not allowed.
        """
        asked = request_for(program, stdin, limits, files)
        body = asked.body.model_dump_json(exclude_none=True).encode()
        cap = _JSON_FACTOR * limits.output_bytes + _JSON_FRAME_BYTES
        answer = self._server.post("/run_code", body, RunCodeAnswer, within_s=asked.total_s + _MARGIN_S, at_most=cap)
        self._server.check_output((answer.run_result and answer.run_result.stdout) or "")
        return execution_of_answer(
            answer,
            language=program.language,
            scripted=asked.scripted,
            limits=limits,
            endpoint=self._url,
            redact=self._server.redact,
        )

    def ping(self) -> None:
        """Return if the server answers.

        Raises:
            EndpointError: it does not, or it is something else.
        """
        content = self._server.get("/v1/ping", within_s=_PING_S, at_most=_PING_BYTES)
        if content.strip(b'" \r\n') != b"pong":
            raise self._server.failed("answered /v1/ping with something else than pong; is it a SandboxFusion server?")

    def close(self) -> None:
        """Close all connections. May be called twice."""
        self._server.close()

    def __repr__(self) -> str:
        return f"<FusionExecutor {self._url}>"
