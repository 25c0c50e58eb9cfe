"""What is sent twice is a choice: never after a byte was sent, not if the server may have it whole, or always."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from balancer import BalancedTransport, Endpoint
from tests.unit.transports.raw_server import CLIENTS, RawServer, ask, raw_server, receive_head, receive_request, reset
from tests.unit.transports.scripted import FACES, Inner, Reply, pool_of

_LARGE = bytes(2**25)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _breaks(before: bytes) -> Callable[[RawServer, socket.socket], None]:
    """Return a server that reads a request whole, sends `before`, and resets the connection."""

    def behave(server: RawServer, connection: socket.socket) -> None:
        receive_request(server, connection)
        connection.sendall(before)
        server.stop.wait(0.02)  # or the reset overtakes what was sent
        reset(connection)

    return behave


def _breaks_early(server: RawServer, connection: socket.socket) -> None:
    receive_head(server, connection)
    reset(connection)


def _refuses_early(server: RawServer, connection: socket.socket) -> None:
    receive_head(server, connection)
    connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    server.stop.wait(0.02)
    reset(connection)


def _answers(server: RawServer, connection: socket.socket) -> None:
    while True:
        receive_request(server, connection)
        connection.sendall(_OK)


_WHOLE = {
    "breaks when it has all": _breaks(b""),
    "begins a 200": _breaks(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    "answers 503": _breaks(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
    "answers 429": _breaks(b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n\r\n"),
    "answers 500": _breaks(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"),
}


def _sent(client: str, behave: Any, asked: dict[str, Any], **options: Any) -> tuple[Any, tuple[int, int]]:
    """Return what the client got, and how many requests the faulty server and the sound one have read whole."""
    with ExitStack() as stack:
        servers = [stack.enter_context(raw_server(each)) for each in (behave, _answers)]
        pool, _ = pool_of(*(Endpoint(server.url, name=name) for server, name in zip(servers, "ab", strict=True)))
        found = ask(client, pool, asked, **options)
        return found, (servers[0].whole, servers[1].whole)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fails", _WHOLE)
@pytest.mark.parametrize("resend", ["incomplete", "unsent"])
def test_what_a_server_may_have_read_whole_is_sent_once(client, fails, resend):
    found, sent = _sent(client, _WHOLE[fails], {"method": "POST", "data": b"{}"}, resend=resend)
    assert sent == (1, 0)
    if "answers" in fails:
        assert str(found.status_code) in fails
        assert "requests" in client or found.headers["x-should-retry"] == "false", "nor by the client itself"
    else:
        assert f"it was not tried again: resend is '{resend}'" in found.__notes__[0]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fails", _WHOLE)
@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({"method": "POST"}, {}),
        ({"method": "POST", "headers": {"idempotency-key": "7"}}, {"resend": "unsent"}),
        ({"method": "PUT"}, {"resend": "unsent"}),
    ],
    ids=["the default", "with a key", "a PUT"],
)
@pytest.mark.sampled(30)
def test_what_may_be_repeated_goes_elsewhere(client, fails, asked, options):
    found, sent = _sent(client, _WHOLE[fails], {"data": b"{}", **asked}, **options)
    assert (found.status_code, sent) == (200, (1, 1))


@pytest.mark.parametrize("client", [name for name in CLIENTS if "tasks" not in name])
@pytest.mark.parametrize("fails", [_breaks_early, _refuses_early])
@pytest.mark.parametrize(("resend", "elsewhere"), [("always", 1), ("incomplete", 1), ("unsent", 0)])
def test_what_was_sent_in_part(client, fails, resend, elsewhere):
    """A task cannot tell: its loop takes all at once, and sends it later."""
    _, sent = _sent(client, fails, {"method": "POST", "data": _LARGE}, resend=resend)
    assert sent == (0, elsewhere)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(("error", "hosts"), [("ConnectError", ["a", "b"]), ("ReadError", ["a"])])
@pytest.mark.parametrize("resend", ["incomplete", "unsent"])
def test_an_inner_transport_that_tells_nothing_has_sent_all_if_it_was_connected(face, error, hosts, resend):
    pool, _ = pool_of("a", "b")
    inner = Inner(face.http, {"a": [getattr(face.http, error)("broke")], "b": [Reply()]})
    transport = face.transport(pool, inner, resend=resend)
    if len(hosts) == 1:
        with pytest.raises(face.http.ReadError, match="broke"):
            face.request(transport, content=b"{}")
    else:
        assert face.request(transport, content=b"{}").status_code == 200
    assert inner.hosts == hosts


def test_a_choice_that_there_is_not_is_said():
    pool, _ = pool_of("a")
    with pytest.raises(ValueError, match=r"resend is 'never'; it takes one of 'always', 'incomplete', 'unsent'"):
        BalancedTransport(pool, resend="never")
