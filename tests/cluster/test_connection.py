"""A member's connection: what it says first, when it is left and made again, and in whose thread it is read."""

import select

import pytest

from balancer.cluster.protocol.messages import JoinRequest, MemberId, SessionOffer
from balancer.cluster.tcp import connection as module
from balancer.cluster.tcp.codec import Closing, encoded
from tests.cluster.scripted import LONG_S, OFFER, WHO, ConnectionScene, reading_caller
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_JOIN, _AGAIN = JoinRequest(WHO, 1.0), JoinRequest(WHO, 2.0)
_LARGE = JoinRequest(MemberId("m" * 8_000_000, "1"), 1.0)  # more than sockets have room for
_CALLERS_READ = pytest.mark.skipif(not hasattr(select, "epoll"), reason="callers read only where there is epoll")


@pytest.fixture
def scene(monkeypatch):
    made = ConnectionScene()
    monkeypatch.setattr(module, "clock", made.clock)
    yield made
    made.close()


def test_a_new_connection_says_who_it_is_and_then_all_that_may_be_lost(scene):
    scene.party.says = [[_JOIN, _AGAIN]]
    assert scene.connected().said(2) == [_JOIN, _AGAIN]
    assert [again for again, _, _ in scene.party.looks][:2] in ([True], [True, False])


def test_what_is_heard_is_handled_and_answered_at_once(scene):
    peer = scene.connected()
    scene.party.answers = [_JOIN, _AGAIN]
    peer.say(OFFER)
    assert peer.said(1) == [_JOIN]
    late = encoded(SessionOffer(1, 2))
    peer.socket.sendall(late[:6])
    peer.socket.sendall(late[6:])
    assert peer.said(1) == [_AGAIN]
    assert scene.party.told == [(OFFER, scene.thread), (SessionOffer(1, 2), scene.thread)]


@pytest.mark.parametrize("token", ["a token", "another token"])
def test_a_server_that_refuses_is_left_at_once_and_asked_again(scene, token):
    peer = scene.connected()
    scene.place = (scene.place[0], token)
    peer.say(Closing("full"), OFFER)
    peer.assert_ends()
    assert (scene.line.refused, scene.party.told) == ("full", [])
    scene.ahead_s += 2.0
    peer = scene.connected()
    assert scene.line.refused == ("full" if token == "a token" else "")
    scene.reader(peer)
    assert scene.line.refused == ""


def test_a_silent_connection_is_left(scene):
    scene.party.silence_s, scene.party.again_s = LONG_S, 0.01
    peer = scene.connected()
    for _ in range(2):
        scene.ahead_s += 0.75 * LONG_S
        scene.looks_again()
        scene.reader(peer)
    scene.ahead_s += 1.01 * LONG_S
    peer.assert_ends()
    scene.connected()


@pytest.mark.parametrize("says", [b"", encoded(OFFER), b"no message"], ids=["nothing", "an answer", "no message"])
def test_a_connection_that_is_lost_is_made_again_and_says_why_if_nobody_answered(scene, says):
    peer, dues = scene.connected(), scene.party.dues
    scene.may_seek.clear()
    peer.socket.sendall(says)
    if says == b"no message":
        peer.assert_ends()
    until(lambda: len(scene.party.told) == (says == encoded(OFFER)))
    peer.socket.close()
    until(lambda: scene.party.dues > dues + 2)  # time passes all the same
    answered = bool(scene.party.told)
    assert scene.line.trouble.startswith("" if answered else "it closed the connection without an answer")
    assert bool(scene.line.trouble) is not answered
    scene.party.says = [[_JOIN]]
    scene.may_seek.set()
    assert scene.connected().said(1) == [_JOIN]
    assert scene.line.trouble == ""


@pytest.mark.parametrize("last", [[_JOIN], [_LARGE, _JOIN]], ids=["little", "much"])
def test_who_ends_it_says_what_is_left_to_say(scene, last):
    peer = scene.connected()
    scene.stands_s = scene.clock()  # it has a second for that, which may be too little for a busy machine
    scene.party.says = [last]
    scene.line.end(0.0)
    assert peer.said(len(last)) == last
    peer.assert_ends()
    scene.assert_over()


@_CALLERS_READ
@pytest.mark.parametrize("end", ["another thread opens", "what it reads opens", "it is late"])
def test_a_caller_that_reads_hands_over_to_the_connections_own_thread(scene, end):
    peer = scene.connected()
    caller = reading_caller(scene, peer)
    if end == "another thread opens":
        caller.gate.wake()
    else:
        scene.party.opens = caller.gate if end == "what it reads opens" else None
        scene.ahead_s += 2 * LONG_S if end == "it is late" else 0.0
        assert scene.reader(peer) is caller
    caller.join(PATIENCE_S)
    assert caller.got is (end != "it is late")
    assert scene.reader(peer) is scene.thread
