"""docs/wire.md is enough for a client in another language: this one was written from that page, and knows nothing else.

MessagePack is a library's. The client says again what is not heard, keeps what it has by its heartbeat, and goes on
when its connection is cut, and when the server is another one.
"""

import select
import socket
import struct
import time
from contextlib import suppress

import pytest
from msgspec import msgpack

from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S

_TTL_S = 1.0


class _Client:
    def __init__(self, port):
        self.port = port
        self.who = ["a client", f"{time.time_ns():032x}"]
        self.session = None
        self.inside = False
        self.ttl_s = _TTL_S
        self.leases = {}
        self.lost = []
        self.refused = ""
        self.asks = {}
        self.heard_s = time.monotonic()
        self.asked = self.sessions = 0
        self.connect()
        self.knock()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.unread = b""
        self.heartbeat_s = 0.0  # it speaks at once, so that the server knows where it is
        self.frame(0, {"version": 3, "token": "", "who": self.who, "local": None})

    def frame(self, kind, message):
        body = msgpack.encode([kind, message])
        with suppress(OSError):
            self.socket.sendall(struct.pack(">I", len(body)) + body)

    def knock(self):
        self.frame(1, {"who": self.who, "sent_s": time.monotonic()})

    def word(self, kind, word):
        self.number += 1
        self.unheard[self.number] = [[kind, word]]
        self.said_s[self.number] = 0.0

    def ask(self, timeout_s):
        self.asked += 1
        ask = {"number": self.asked, "request": {}, "priority": 0, "timeout_s": timeout_s, "waited_s": 0.0, "block": 1}
        self.asks[self.asked] = ask
        self.word(0, ask)
        return self.asked

    def end(self, token):
        del self.leases[token]
        self.word(3, {"token": list(token), "outcome": "success", "used_s": 0.1})

    def numbered(self, number, words):
        assert self.session is not None
        self.frame(3, [self.who, *self.session, time.monotonic(), number, self.got, words])

    def until(self, holds):
        """Go on until `holds`."""
        until_s = time.monotonic() + PATIENCE_S
        while not holds():
            now = time.monotonic()
            assert now < until_s
            if self.inside:
                for number, words in self.unheard.items():
                    if now >= self.said_s[number] + self.ttl_s / 20:
                        self.said_s[number] = now
                        self.numbered(number, words)
                if now >= self.heartbeat_s:
                    self.heartbeat_s = now + self.ttl_s / 5
                    self.numbered(0, [])
            if select.select([self.socket], [], [], 0.01)[0]:
                try:
                    data = self.socket.recv(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    self.again()
                self.unread += data
            while len(self.unread) >= 4 and len(self.unread) >= 4 + (length := struct.unpack(">I", self.unread[:4])[0]):
                body, self.unread = self.unread[4 : 4 + length], self.unread[4 + length :]
                self.hear(*msgpack.decode(body))

    def again(self):
        self.socket.close()
        with suppress(OSError):
            time.sleep(0.02)
            self.connect()

    def hear(self, kind, said):
        if kind == 11:
            session = said["epoch"], said["session"]
            if self.session is not None and session <= self.session:
                return
            self.session, self.inside = session, False
            self.number = self.got = 0
            self.unheard = {}
            self.said_s = {}
            self.listed = {}
            self.sessions += 1
            held = [
                {
                    "token": list(token),
                    "endpoint": each["name"],
                    "slots": 1,
                    "terms": None,
                    "tokens": None,
                    "held_s": 0.5,
                }
                for token, each in self.leases.items()
            ]
            now = time.monotonic()
            self.frame(2, {"who": self.who, "epoch": session[0], "session": session[1], "sent_s": now, "held": held})
        elif kind == 12 and (said["epoch"], said["session"]) == self.session and not self.inside:
            kept = {tuple(token) for token in said["kept"]}
            self.lost += [token for token in self.leases if token not in kept]
            self.leases = {token: each for token, each in self.leases.items() if token in kept}
            self.ttl_s, self.inside = said["ttl_s"], True
            for ask in self.asks.values():
                self.word(0, ask)
        elif kind == 13 and tuple(said[:2]) == self.session:
            _, _, self.heard_s, number, got, words = said
            self.unheard = {each: words for each, words in self.unheard.items() if each > got}
            if number == self.got + 1:
                self.got = number
                for which, word in words:
                    self.told(which, word)

    def told(self, kind, word):
        if kind == 20:
            self.listed[word["number"]] = word["endpoint"]
        elif kind == 21 and self.asks.pop(word["number"], None):
            for token, number, _ in word["shares"]:
                self.leases[tuple(token)] = self.listed[number]
        elif kind == 22 and self.asks.pop(word["number"], None):
            self.refused = word["error"]


@pytest.mark.more
def test_a_client_of_that_page_leases_keeps_and_gives_back_whatever_happens_to_its_connection():
    with Serving("http://a/", ttl_s=_TTL_S) as first:
        client = _Client(first.port)
        client.until(lambda: client.inside)
        client.ask(5.0)
        client.until(lambda: bool(client.leases))
        ((token, endpoint),) = client.leases.items()
        assert endpoint["url"] == "http://a/"

        client.ask(0.05)
        client.until(lambda: bool(client.refused))
        assert client.refused == "AcquireTimeout"

        later_s = time.monotonic() + 1.5 * _TTL_S
        client.until(lambda: time.monotonic() > later_s)
        assert len(first.pool.leases()) == 1, "its heartbeat keeps it"

        client.socket.shutdown(socket.SHUT_RDWR)
        later_s = time.monotonic() + 1.5 * _TTL_S
        client.until(lambda: time.monotonic() > later_s)
        assert len(first.pool.leases()) == 1
        assert client.sessions == 1, "a connection is no session"
        first.stop()

    with Serving("http://a/", ttl_s=_TTL_S, last=first.records[-1], port=first.port) as second:
        client.until(lambda: client.sessions == 2 and client.inside)
        assert (list(client.leases), client.lost) == ([token], [])
        assert len(second.pool.leases()) == 1
        client.end(token)
        client.ask(5.0)
        client.until(lambda: bool(client.leases))
        ((other, _),) = client.leases.items()
        assert other > token
        client.end(other)
        client.until(lambda: not client.unheard)
        client.word(8, {})
        client.until(lambda: not second.server.coordinator._sessions)
        assert second.pool.leases() == ()
        assert second.pool.stats().calls == 2
        client.socket.close()
