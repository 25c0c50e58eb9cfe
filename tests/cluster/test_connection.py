"""A member's connection, step by step, without a network: what it sends, when it gives up, and when it looks again."""

from collections.abc import Iterator
from math import inf
from typing import Any

import pytest

from balancer.cluster.protocol.messages import JoinRequest, MemberId, SessionOffer
from balancer.cluster.tcp import connection as module
from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.codec import VERSION, Closing, Opening, encoded
from balancer.cluster.tcp.connection import MemberConnection
from balancer.cluster.tcp.liveness import own_identity

_WHO = MemberId("member", "1")
_JOIN, _AGAIN = JoinRequest(_WHO, 1.0), JoinRequest(_WHO, 2.0)


class _Party:
    """Stands for the member: says what it is told to say."""

    silence_s = 10.0

    def __init__(self) -> None:
        self.over = False
        self.says: list[list[JoinRequest]] = []
        self.due_s = inf
        self.asked: list[bool] = []
        self.was_told: list[Any] = []
        self.dues = 0

    def heard(self, messages: list[Any]) -> None:
        self.was_told += messages

    def due(self) -> None:
        self.dues += 1

    def out(self, again: bool) -> tuple[list[JoinRequest], float]:
        self.asked.append(again)
        return (self.says.pop(0) if self.says else []), self.due_s


class _Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.end = ""

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.end = "aborted"

    def close(self) -> None:
        self.end = "closed"


class _Scene:
    """A connection whose loop does not run, and whose clock is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.party, self.transport = _Party(), _Transport()
        self.line: Any = MemberConnection(Address("host", 1, False), None, "a token", _WHO, self.party)
        self.line._gone = module.asyncio.Event()

    def made(self) -> None:
        self.line.made(self.transport)

    @property
    def next_s(self) -> float | None:
        """In how many seconds it looks again."""
        timer = self.line._timer
        return None if timer is None or timer.cancelled() else timer.when() - self.line._loop.time()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Scene]:
    made = _Scene()
    monkeypatch.setattr(module, "clock", lambda: made.now)
    yield made
    made.line._loop.close()


def test_a_new_connection_says_who_it_is_and_then_all_that_may_be_lost(scene: _Scene) -> None:
    scene.party.says = [[_JOIN, _AGAIN], [_JOIN]]
    scene.made()
    opening = encoded(Opening(VERSION, "a token", _WHO, own_identity()))
    assert scene.transport.written == [opening, encoded(_JOIN) + encoded(_AGAIN), encoded(_JOIN)]
    assert scene.party.asked == [True, False, False]
    assert scene.party.dues == 0
    assert scene.next_s is None


def test_what_is_heard_is_handled_and_answered_at_once(scene: _Scene) -> None:
    scene.made()
    scene.line.refused = "full"
    scene.party.says = [[_JOIN]]
    offer = SessionOffer(1, 1)
    scene.line.heard([offer])
    assert scene.party.was_told == [offer]
    assert scene.transport.written[1:] == [encoded(_JOIN)]
    assert scene.party.asked == [True, False, False]
    assert scene.line.refused == ""


def test_a_server_that_refuses_is_left_at_once(scene: _Scene) -> None:
    scene.made()
    scene.line.heard([Closing("full"), SessionOffer(1, 1)])
    assert (scene.line.refused, scene.transport.end, scene.party.was_told) == ("full", "aborted", [])
    scene.line.lost(scene.transport)
    scene.line.heard([Closing("full")])  # was on its way when the connection was lost


def test_a_silent_connection_is_left_and_time_passes_without_one(scene: _Scene) -> None:
    scene.made()
    scene.now += 10.0
    scene.line._flush()
    assert (scene.transport.end, scene.party.dues) == ("", 0)
    scene.now += 0.001
    scene.line._flush()
    assert (scene.transport.end, scene.party.dues) == ("aborted", 1)
    assert scene.next_s == pytest.approx(0.05, abs=0.02)
    scene.line._due()
    assert scene.party.dues == 3


@pytest.mark.parametrize("answers", [True, False])
def test_a_connection_that_is_lost_is_made_again_and_says_why_if_nobody_answered(scene: _Scene, answers: bool) -> None:
    scene.made()
    if answers:
        scene.line.heard([SessionOffer(1, 1)])
    scene.line.lost(_Transport())  # an earlier one
    assert scene.party.dues == 0
    scene.line.lost(scene.transport)
    assert scene.line._gone.is_set()
    assert scene.party.dues == 1
    assert scene.line.trouble.startswith("" if answers else "it closed the connection without an answer")
    assert bool(scene.line.trouble) is not answers


def test_it_looks_again_when_something_is_due_and_no_more_often(scene: _Scene) -> None:
    scene.party.due_s = scene.now + 5.0
    scene.made()
    first = scene.line._timer
    assert scene.next_s == pytest.approx(5.0, abs=1.0)
    scene.party.due_s = scene.now - 1.0  # at once, but never without a pause
    scene.line._flush()
    assert first.cancelled()
    assert scene.next_s == pytest.approx(0.001, abs=1.0)


def test_it_ends_when_nothing_is_left_to_say(scene: _Scene) -> None:
    scene.party.due_s = scene.now + 5.0
    scene.made()
    scene.party.over = True
    scene.party.says = [[_JOIN]]
    scene.line._flush()
    assert scene.transport.written[1:] == [encoded(_JOIN)]
    assert scene.transport.end == "closed"
    assert scene.line._timer is None
    assert scene.line._over.is_set()
    dues = scene.party.dues
    scene.now += 60.0
    scene.line.lost(scene.transport)
    assert scene.party.dues == dues
