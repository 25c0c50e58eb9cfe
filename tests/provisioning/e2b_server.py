"""A server with the API of E2B, of the documented shape (E2B API 0.1.0), and with the sandboxes of one account.

It also answers for the servers in the sandboxes, at /box/ID/, to who has the token of the sandbox.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.patience import PATIENCE_S

__all__ = ["E2bServer"]

_PAGE = 2  # sandboxes on a page, so that tests see several


class E2bServer:
    """One account.

    Attributes:
        url: of the API.
        key: the API key.
        most: how many sandboxes the account allows at once.
        exists: what each creation asked for, by the id of its sandbox.
        asked: method and path of each request to the API.
        starting: how many answers of 502 a new sandbox gives before its server answers.
        failing: statuses of the next answers to creations, after which nothing is made.
        unfiltered: True to ignore the filter of a list.
    """

    def __init__(self) -> None:
        self.key, self.most, self.starting = "e2b_secret_key", 3, 1
        self.exists: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.failing: list[int] = []
        self.unfiltered = False
        self._numbers = count(1)
        self._unready: dict[str, int] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._handle(self, "GET")

            def do_POST(self) -> None:
                outer._handle(self, "POST")

            def do_DELETE(self) -> None:
                outer._handle(self, "DELETE")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    def _handle(self, request: BaseHTTPRequestHandler, method: str) -> None:
        parts = urlsplit(request.path)
        sent = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if parts.path.startswith("/box/"):
            status, headers, body = self._of_a_box(parts.path.split("/")[2], request), {}, None
        else:
            self.asked.append((method, parts.path))
            if request.headers.get("X-API-Key") != self.key:
                status, headers, body = 401, {}, {"code": 401, "message": "bad key " + self.key}
            else:
                status, headers, body = self._of_the_api(method, parts.path, parse_qs(parts.query), sent)
        data = b"" if body is None else json.dumps(body).encode()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status != 204:
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _of_the_api(
        self, method: str, path: str, query: dict[str, list[str]], sent: bytes
    ) -> tuple[int, dict[str, str], Any]:
        if (method, path) == ("POST", "/sandboxes"):
            return self._create(json.loads(sent))
        if (method, path) == ("GET", "/v2/sandboxes"):
            return self._list(query)
        if method == "DELETE" and path.startswith("/sandboxes/"):
            if self.exists.pop(path.removeprefix("/sandboxes/"), None) is None:
                return 404, {}, {"code": 404, "message": "no such sandbox"}
            return 204, {}, None
        return 404, {}, {"code": 404, "message": "no such path"}

    def _create(self, wanted: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        if self.failing:
            status = self.failing.pop(0)
            return status, {"Retry-After": "0"}, {"code": status, "message": f"not with {self.key}"}
        if len(self.exists) >= self.most:
            return 429, {}, {"code": 429, "message": "too many sandboxes"}
        id = f"i{next(self._numbers)}"
        self.exists[id], self._unready[id] = wanted, self.starting
        private = not wanted["network"]["allowPublicTraffic"]
        return (
            201,
            {},
            {
                "templateID": wanted["templateID"],
                "sandboxID": id,
                "clientID": "c",
                "envdVersion": "0.2.0",
                "domain": None,
                "trafficAccessToken": f"token-of-{id}" if private else None,
            },
        )

    def _list(self, query: dict[str, list[str]]) -> tuple[int, dict[str, str], Any]:
        wanted = {name: values[0] for name, values in parse_qs(query["metadata"][0]).items()}
        ids = [id for id, made in self.exists.items() if self.unfiltered or wanted.items() <= made["metadata"].items()]
        start = int(query.get("nextToken", ["0"])[0])
        headers = {"X-Next-Token": str(start + _PAGE)} if start + _PAGE < len(ids) else {}
        page = ids[start : start + _PAGE]
        return (
            200,
            headers,
            [
                {"sandboxID": id, "templateID": "t", "state": "running", "metadata": self.exists[id]["metadata"]}
                for id in page
            ],
        )

    def _of_a_box(self, id: str, request: BaseHTTPRequestHandler) -> int:
        if id not in self.exists:
            return 502
        if self._unready[id]:
            self._unready[id] -= 1
            return 502
        private = not self.exists[id]["network"]["allowPublicTraffic"]
        return 403 if private and request.headers.get("e2b-traffic-access-token") != f"token-of-{id}" else 200
