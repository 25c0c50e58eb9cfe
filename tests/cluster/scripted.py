"""A scripted server and a scripted member for a connection between them: the test says what each of them says.

The test accepts, reads and answers by itself, in its own thread. The clock runs. It can be moved on, and stopped.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from balancer.cluster.protocol.messages import FromCoordinator, FromMember, MemberId, SessionOffer
from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.codec import VERSION, MessageSplitter, Opening, encoded, read_from_member
from balancer.cluster.tcp.connection import CallerGate, MemberConnection
from balancer.cluster.tcp.liveness import own_identity
from tests.patience import PATIENCE_S
from tests.threads.crew import until

WHO = MemberId("member", "1")
OFFER = SessionOffer(1, 1)
LONG_S = 1e6  # no test waits for it


class ScriptedParty:
    """Stands for the member: says what it is told to say."""

    silence_s, again_s = inf, LONG_S

    def __init__(self) -> None:
        self.over = False
        self.says: list[list[FromMember]] = []
        self.answers: list[FromMember] = []
        self.due_s: Callable[[], float] = lambda: inf
        self.looks: list[tuple[bool, threading.Thread, float]] = []
        self.told: list[tuple[FromCoordinator, threading.Thread]] = []
        self.dues = 0
        self.opens: CallerGate | None = None  # when something is heard

    def heard(self, messages: Sequence[FromCoordinator]) -> None:
        if self.answers:
            self.says.append([self.answers.pop(0)])
        if self.opens is not None:
            self.opens.wake()
            self.opens = None
        self.told += [(message, threading.current_thread()) for message in messages]

    def due(self) -> None:
        self.dues += 1

    def out(self, again: bool) -> tuple[list[FromMember], float]:
        self.looks.append((again, threading.current_thread(), clock()))
        return (self.says.pop(0) if self.says else []), self.due_s()


class ScriptedPeer:
    """The server's end of a connection."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket, self._splitter = accepted, MessageSplitter()
        self._said: list[Any] = []
        accepted.settimeout(PATIENCE_S)

    def say(self, *messages: object) -> None:
        self.socket.sendall(b"".join(map(encoded, messages)))

    def said(self, count: int) -> list[Any]:
        """Return the next messages."""
        while len(self._said) < count:
            data = self.socket.recv(1 << 20)
            assert data, f"it ended after {self._said}"
            self._said += map(read_from_member, self._splitter.feed(data))
        found, self._said = self._said[:count], self._said[count:]
        return found

    def assert_ends(self) -> None:
        """Nothing more is said, and it ends."""
        assert (self._said, self.socket.recv(1)) == ([], b"")


class ConnectionScene:
    """A connection, and its server."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.stands_s = inf  # if less: the clock stands still
        self.may_seek = threading.Event()
        self.may_seek.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE_S)
        address = Address("127.0.0.1", self.listener.getsockname()[1], False)
        self.place = (address, "a token")
        self.party = ScriptedParty()
        self.line = MemberConnection([address], None, "a token", WHO, self.party, self._sought)
        self.peers: list[ScriptedPeer] = []

    def clock(self) -> float:
        """Return the time of the connection."""
        return min(clock() + self.ahead_s, self.stands_s)

    def _sought(self) -> tuple[Address, str]:
        self.may_seek.wait(PATIENCE_S)
        return self.place

    def connected(self) -> ScriptedPeer:
        """Return the next connection, after what it says first."""
        if not self.peers:
            self.line.start()
        self.peers.append(peer := ScriptedPeer(self.listener.accept()[0]))
        assert peer.said(1) == [Opening(VERSION, self.place[1], WHO, own_identity())]
        until(lambda: sum(again for again, _, _ in self.party.looks) == len(self.peers))
        return peer

    @property
    def thread(self) -> threading.Thread:
        """That of the connection."""
        return self.party.looks[0][1]

    def reader(self, peer: ScriptedPeer) -> threading.Thread:
        """Return who reads what the server says now."""
        count = len(self.party.told)
        peer.say(OFFER)
        until(lambda: len(self.party.told) > count)
        return self.party.told[-1][1]

    def say(self, *messages: FromMember) -> None:
        if messages:
            self.party.says.append([*messages])
        self.line.stir()
        self.line.flush()

    def close(self) -> None:
        """End it."""
        self.may_seek.set()
        self.line.end(PATIENCE_S)
        for each in (self.listener, *(peer.socket for peer in self.peers)):
            each.close()

    def assert_over(self) -> None:
        """The connection ends by itself, for good."""
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def looks_again(self) -> None:
        count = len(self.party.looks)
        until(lambda: len(self.party.looks) > count + 2)


class ReadingCaller(threading.Thread):
    """Waits, and reads meanwhile, unless the connection's own thread reads just when it begins."""

    def __init__(self, scene: ConnectionScene) -> None:
        super().__init__(daemon=True)
        self.gate = CallerGate(scene.line)
        self.got: bool | None = None
        self.start()

    def run(self) -> None:
        self.got = self.gate.wait(LONG_S)


def reading_caller(scene: ConnectionScene, peer: ScriptedPeer) -> ReadingCaller:
    """Return a caller that reads what this peer says."""
    callers: list[ReadingCaller] = []

    def reads() -> bool:
        callers.append(ReadingCaller(scene))
        if scene.reader(peer) is callers[-1]:
            return True
        callers[-1].gate.wake()
        callers[-1].join(PATIENCE_S)
        return False

    until(reads)
    return callers[-1]
