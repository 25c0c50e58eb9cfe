"""Servers that sources ask: a DNS server of dnslib, and the APIs of Kubernetes, Consul and Ray, scripted.

The scripted ones answer as the documented APIs do. They hold a state that a test changes, and the requests they got.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSServer

from tests.patience import PATIENCE_S

__all__ = ["Api", "Consul", "Dns", "Kubernetes", "pod", "until"]

_TRIES = 20  # to find a port


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    beat = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if holds():
            return
        beat.wait(0.01)
    raise AssertionError("it does not come to hold")


class Dns:
    """A DNS server on loopback, over UDP and TCP, which answers each question with `zone`.

    Attributes:
        zone: records of each kind in the text form of zone files, e.g. {"A": ["x.test. 1 IN A 10.0.0.1"]}.
        code: the code of answers without a record: "NOERROR", "NXDOMAIN" or "SERVFAIL".
        silent: True to answer nothing.
        asked: how many questions came.
    """

    def __init__(self) -> None:
        self.zone: dict[str, list[str]] = {}
        self.code = "NOERROR"
        self.silent = False
        self.asked = 0
        outer = self

        class Resolver(BaseResolver):  # type: ignore[misc]  # it has no types
            def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
                outer.asked += 1
                if outer.silent:
                    raise TimeoutError  # the handler then sends nothing
                reply = request.reply()
                records = outer.zone.get(QTYPE[request.q.qtype], [])
                for text in records:
                    reply.add_answer(*RR.fromZone(text))
                if not records:
                    reply.header.rcode = getattr(RCODE, outer.code)
                return reply

        class Quiet:
            def __getattr__(self, name: str) -> Callable[..., None]:
                return lambda *_: None

        def bound(port: int, *, tcp: bool) -> DNSServer:
            return DNSServer(Resolver(), address="127.0.0.1", port=port, tcp=tcp, logger=Quiet())

        for left in reversed(range(_TRIES)):  # a port that is free for datagrams may be taken for streams
            datagrams = bound(0, tcp=False)
            self.port = datagrams.server.server_address[1]
            try:
                self._servers = [datagrams, bound(self.port, tcp=True)]
                break
            except OSError:
                datagrams.server.server_close()
                if not left:
                    raise
        for each in self._servers:
            threading.Thread(target=each.server.serve_forever, args=(0.01,), daemon=True).start()

    def addresses(self, *hosts: str, ttl: int = 1) -> None:
        """List these addresses as A records of pool.test."""
        self.zone["A"] = [f"pool.test. {ttl} IN A {host}" for host in hosts]

    @property
    def options(self) -> dict[str, Any]:
        """The options of a source that asks this server."""
        return {"host": "pool.test", "port": 80, "servers": [f"127.0.0.1:{self.port}"], "timeout_s": PATIENCE_S}

    def close(self) -> None:
        """Stop."""
        for each in self._servers:
            each.server.shutdown()
            each.server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""


class Api:
    """An HTTP server that answers GET with `answer`.

    Attributes:
        url: of it.
        got: path, query and headers of each request.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                outer.got.append((parts.path, query, dict(self.headers.items())))
                with suppress(ConnectionError):
                    status, headers, body = outer.answer(parts.path, query, dict(self.headers.items()))
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    if isinstance(body, Iterator):
                        self.send_header("Transfer-Encoding", "chunked")
                        self.end_headers()
                        for line in body:
                            data = json.dumps(line).encode() + b"\n"
                            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                            self.wfile.flush()
                        self.wfile.write(b"0\r\n\r\n")
                    else:
                        data = body if isinstance(body, bytes) else json.dumps(body).encode()
                        self.send_header("Content-Length", str(len(data)))
                        self.end_headers()
                        self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and body; an iterator sends its items as lines, while they come."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)


class _Changing(Api):
    """An API over a state with a version, which readers may wait for."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.version = 1
        self.news = threading.Condition()
        super().__init__(tls)

    def wait_beyond(self, version: int, for_s: float) -> None:
        """Wait until there is a later version, at most `for_s` seconds."""
        with self.news:
            self.news.wait_for(lambda: self.version > version or self.over.is_set(), for_s)

    def close(self) -> None:
        self.over.set()
        with self.news:
            self.news.notify_all()
        super().close()


class Consul(_Changing):
    """The health API of Consul, with blocking queries."""

    def __init__(self) -> None:
        self.instances: list[dict[str, Any]] = []
        self.token = ""
        self.broken = 0  # a status to answer with
        super().__init__()

    def set(self, *instances: dict[str, Any], version: int | None = None) -> None:
        """List these instances from now on."""
        with self.news:
            self.instances = [*instances]
            self.version = self.version + 1 if version is None else version
            self.news.notify_all()

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        if self.broken:
            return self.broken, {}, b"no cluster leader"
        if self.token and headers.get("X-Consul-Token") != self.token:
            return 403, {}, b"Permission denied"
        if "index" in query:
            self.wait_beyond(int(query["index"]), float(query["wait"].removesuffix("s")))
        return 200, {"X-Consul-Index": str(self.version)}, self.instances


class Kubernetes(_Changing):
    """The list and the watch of EndpointSlices, with versions that may be too old."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.slices: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.token = ""
        self.oldest = 0  # a watch from an earlier version ends with 410
        self.ends = 0  # how many watches are cut off
        self.watching = 0
        super().__init__(tls)

    def set(self, name: str, pods: list[dict[str, Any]] | None, *, port: int = 8000) -> None:
        """Set the pods of a slice; None deletes it."""
        with self.news:
            self.version += 1
            before = self.slices.pop(name, None)
            kind = "DELETED" if pods is None else "MODIFIED" if before else "ADDED"
            if pods is not None:
                self.slices[name] = {
                    "metadata": {"name": name, "resourceVersion": str(self.version)},
                    "addressType": "IPv4",
                    "endpoints": pods,
                    "ports": [{"name": "metrics", "port": 9090}, {"name": "http", "port": port, "protocol": "TCP"}],
                }
            self.events.append((self.version, {"type": kind, "object": self.slices.get(name, before)}))
            self.news.notify_all()

    def cut(self) -> None:
        """End all watches, and forget what has happened."""
        with self.news:
            self.version += 1
            self.ends = self.oldest = self.version
            self.news.notify_all()

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {}, {"kind": "Status", "code": 401}
        if path != "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices":
            return 404, {}, {"kind": "Status", "code": 404}
        if "watch" in query:
            return 200, {}, self._watch(int(query["resourceVersion"]))
        names = sorted(self.slices)
        first = int(query.get("continue", 0))  # a page has two slices
        cursor = {"continue": str(first + 2)} if first + 2 < len(names) else {}
        items = [self.slices[name] for name in names[first : first + 2]]
        return 200, {}, {"metadata": {"resourceVersion": str(self.version), **cursor}, "items": items}

    def _watch(self, version: int) -> Iterator[dict[str, Any]]:
        if version < self.oldest:
            yield {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
            return
        began = self.version
        yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
        while not self.over.is_set() and self.ends <= began:
            self.watching += 1
            self.wait_beyond(version, PATIENCE_S)
            with self.news:
                fresh = [event for at, event in self.events if at > version]
                version = self.version
            yield from fresh


def pod(
    address: str, *, ready: bool | None = True, terminating: bool | None = None, node: str = "n1"
) -> dict[str, Any]:
    """Return a pod as it is in a slice."""
    conditions = {"ready": ready, "serving": ready, "terminating": terminating}
    said = {name: value for name, value in conditions.items() if value is not None}
    return {"addresses": [address], "conditions": said, "nodeName": node, "zone": "z1"}
