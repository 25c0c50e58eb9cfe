"""A DNS server of dnslib, which sources ask."""

import threading
from collections.abc import Callable
from typing import Any

from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSServer

from tests.patience import PATIENCE_S

_TRIES = 20  # to find a port


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
