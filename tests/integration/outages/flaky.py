"""HTTP servers on loopback that speak as much of SandboxFusion's API as a program run takes, and fail when told to."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["FlakyServer", "flaky_servers"]

_WELL_S = 0.02
_HOLE_S = 0.01  # a black hole is twice as quick as the others


class FlakyServer(ThreadingHTTPServer):
    """A server that answers every program with "pong" or, while `down`, with an error.

    Attributes:
        down: whether it fails, in half the time.
        asked, failed: requests so far, and those that failed.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.down = False
        self.asked = 0
        self.failed = 0
        self.counting = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: FlakyServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or an answer in two pieces takes 40 ms

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        down = self.server.down
        time.sleep(_HOLE_S if down else _WELL_S)
        with self.server.counting:
            self.server.asked += 1
            self.server.failed += down
        if down:
            self._answer(500, {"detail": "out of order"})
        else:
            words = "balancer ran 0 0.01 0.01 0.00 5 0\n"  # of the script; what the program printed is fetched
            files = dict.fromkeys(asked["fetch_files"], base64.b64encode(b"pong\n").decode())
            result = {"status": "Finished", "execution_time": 0.01, "return_code": 0, "stdout": words, "stderr": ""}
            self._answer(200, {"status": "Success", "message": "", "run_result": result, "files": files})

    def do_GET(self) -> None:
        if self.path == "/v1/about":
            self._answer(404, {"detail": "Not Found"})
            return
        self._answer(*((500, "out of order") if self.server.down else (200, "pong")))

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def flaky_servers(count: int) -> Iterator[list[FlakyServer]]:
    """Have `count` servers for the length of a `with` block."""
    with ExitStack() as stack:
        servers = [stack.enter_context(FlakyServer()) for _ in range(count)]
        for server in servers:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield servers
