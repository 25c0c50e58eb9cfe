"""Strangers who connect and stop, in each state, at each server: nobody is kept out by them, and nothing is lost.

Each server allows few connections here, and several times as many strangers hold theirs in one state. In the first test
no limit of time ends, so that only the limit of their number helps; in the second one only the limits of time do.
"""

import asyncio
import os
import resource
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import NamedTuple

import httpx2
import pytest
import uvicorn

from balancer import Pool
from balancer.cluster.protocol.messages import MemberId
from balancer.cluster.tcp import server as pool_server
from balancer.cluster.tcp.codec import VERSION, Opening, encoded
from balancer.cluster.tcp.connection_limit import ConnectionLimit, network_of
from balancer.commands.serve import tls_of
from balancer.observing.page import serving as page_serving
from balancer.observing.page.connections import HttpServer
from balancer.program import Execution, Status
from balancer.sandbox.server.app import build_app, protocol_for
from balancer.sandbox.server.handler import ServerLoad, ServerSettings
from tests.cluster.serving import Command, Serving, made_cert
from tests.patience import PATIENCE_S
from tests.threads.crew import until
from tests.unit.sandbox.test_sandbox_server import Pretend

MOST = 8  # connections that a server allows
STRANGERS = 3 * MOST
TOKEN = "t0ken-of-the-servers"
_NEVER_S = 10_000.0
_SOON_S = 0.2
_TTL_S = 600.0  # no lease is lost because the machine is busy
_WITHIN_S = 60.0  # for whoever behaves well; it takes a hundredth of that


# -- the servers --------------------------------------------------------------------------------------


class OfPool:
    """A server of a pool, with a member that has a lease since before the strangers came."""

    def __init__(self, serving, ca):
        self._serving, self._ca, self.port = serving, ca, serving.port
        self._before = Pool.connect(serving.url, ca=ca, token=TOKEN, name="before")
        self._lease = self._before.acquire(timeout=PATIENCE_S)
        self._newcomers = 0

    def check(self):
        self._newcomers += 1
        name = f"newcomer {self._newcomers}"
        connected = Pool.connect(self._serving.url, ca=self._ca, token=TOKEN, name=name, within_s=_WITHIN_S)
        with connected as newcomer, newcomer.lease(_WITHIN_S):
            known = self._serving.records[-1].holders
            assert known is not None
            assert {"before", name} <= {who.name for who in known}
        with self._before.lease(_WITHIN_S):
            assert len(self._serving.pool.leases()) >= 2
        assert not self._lease.ended

    def close(self):
        self._lease.release()  # raises if it was lost
        self._before.close()


class OfHttp:
    """A server of HTTP, and somebody who asks for each of these paths."""

    def __init__(self, port, *paths):
        self.port, self._paths = port, paths

    def check(self):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx2.Client(timeout=_WITHIN_S, trust_env=False, headers=headers) as client:
            for path in self._paths:
                try:
                    self._get(client, path)
                except httpx2.ReadError:  # idle since its last request, it gave way to one who came: it asks again
                    self._get(client, path)

    def _get(self, client, path):
        with client.stream("GET", f"http://127.0.0.1:{self.port}{path}") as answer:
            assert answer.status_code == 200
            assert next(answer.iter_raw())


@pytest.fixture(scope="module")
def cert(tmp_path_factory):
    return made_cert(tmp_path_factory.mktemp("tls"))


@contextmanager
def pool_served(times_s, patch, cert):
    patch.setattr(pool_server, "_OPENING_S", times_s)
    tls = None if cert is None else tls_of(*cert)
    with Serving("http://a/", "http://b/", "http://c/", ttl_s=_TTL_S, token=TOKEN, tls=tls, most=MOST) as serving:
        served = OfPool(serving, cert and cert[0])
        yield served
        served.close()


@contextmanager
def page_served(times_s, patch):
    patch.setattr(page_serving, "_MOST_CONNECTIONS", MOST)
    patch.setattr(page_serving, "_TIMES", (times_s, times_s, times_s))
    with Pool(["http://a/"]) as pool, pool.serve_page(token=TOKEN) as page:
        yield OfHttp(int(page.url.rstrip("/").rpartition(":")[2]), "/state", "/metrics")


@contextmanager
def sandbox_served(times_s, patch):
    settings = ServerSettings(
        workers=1, connections=MOST, token=TOKEN, head_s=times_s, silent_s=times_s, body_s=times_s, answer_s=times_s
    )
    load = ServerLoad(settings.workers, settings.queue)
    executor = Pretend(Execution(Status.FINISHED))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        build_app(executor, settings, load), http=protocol_for(settings, load), ws="none", lifespan="off",
        log_config=None, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = HttpServer(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    try:
        yield OfHttp(listener.getsockname()[1], "/v1/ping", "/metrics")
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()


@contextmanager
def served(name, times_s, cert):
    with pytest.MonkeyPatch.context() as patch:
        servers = {
            "pool": partial(pool_served, cert=None),
            "pool over TLS": partial(pool_served, cert=cert),
            "page": page_served,
            "sandbox": sandbox_served,
        }
        with servers[name](times_s, patch) as found:
            yield found


# -- the strangers ------------------------------------------------------------------------------------


def _hello():
    """Return the first message of a TLS handshake."""
    context, out = ssl.create_default_context(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


_OPENING = encoded(Opening(VERSION, TOKEN, MemberId("a stranger", "1"), None))
_GET = f"GET {{path}} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
_POST = _GET.replace("GET", "POST", 1) + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"


class Stop(NamedTuple):
    """Where a stranger stops.

    Attributes:
        tls: after a handshake of TLS, where the server has it.
        sends: what the stranger sends.
        answered: then an answer comes first; it sends `more` after that.
    """

    sends: bytes
    tls: bool = False
    answered: bool = False
    more: bytes = b""


_HTTP = {
    "silent": lambda path, button: Stop(b""),
    "half a head": lambda path, button: Stop(_GET.format(path=path).encode()[:-7]),
    "after a first request": lambda path, button: Stop((_GET.format(path=path) + "\r\n").encode(), answered=True),
    "half a second head": lambda path, button: Stop(
        (_GET.format(path=path) + "\r\n").encode(), answered=True, more=_GET.encode()[:-7]
    ),
    "in a body": lambda path, button: Stop(_POST.format(path=button).encode()),
    "in a body that nobody reads": lambda path, button: Stop(_POST.format(path=path).encode()),
    "in an upgrade": lambda path, button: Stop(
        (_GET.format(path=path) + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n").encode()
    ),
    "after an upgrade": lambda path, button: Stop(
        (_GET.format(path=path) + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n").encode(), answered=True, more=b"PRI"
    ),
}
_POOL = {
    "silent": Stop(b""),
    "half a hello": Stop(_hello()[:100]),
    "after a hello": Stop(_hello()),
    "after TLS": Stop(b"", tls=True),
    "half an opening": Stop(_OPENING[:20], tls=True),
    "after the opening": Stop(_OPENING, tls=True),
    "in a body": Stop(_OPENING + b"\0\0\4\0\x92\3", tls=True),
    "in an upgrade": Stop(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", tls=True),
    "refused": Stop(_OPENING.replace(TOKEN.encode(), b"wrong" * 4), tls=True),
}
_STATES = {
    "pool": _POOL,
    "pool over TLS": _POOL,
    "page": {name: make("/state", "/admin/drain") for name, make in _HTTP.items()},
    "sandbox": {name: make("/v1/ping", "/run_code") for name, make in _HTTP.items()},
}
CASES = [(server, state) for server, states in _STATES.items() for state in states]


def stopped(port, stop, *, tls):
    """Return the connection of a stranger that has stopped there; the server may have closed it."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    with suppress(OSError):
        if tls and stop.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        connection.sendall(stop.sends)
        if stop.answered:
            connection.recv(2**16)
            connection.sendall(stop.more)
    return connection


@pytest.mark.sampled(12)
@pytest.mark.needs("openssl")
@pytest.mark.parametrize(("server", "state"), CASES)
def test_strangers_who_stop_keep_nobody_out_and_nothing_is_lost(server, state, cert):
    stop, tls = _STATES[server][state], server == "pool over TLS"
    with served(server, _NEVER_S, cert) as found, ExitStack() as stack:
        found.check()
        for _ in range(2):
            for _ in range(STRANGERS):
                stack.enter_context(stopped(found.port, stop, tls=tls))
            found.check()


@pytest.mark.sampled(8)
@pytest.mark.needs("openssl")
@pytest.mark.parametrize(("server", "state"), CASES)
def test_strangers_who_stop_are_closed_in_time(server, state, cert):
    stop, tls = _STATES[server][state], server == "pool over TLS"
    with served(server, _SOON_S, cert) as found, stopped(found.port, stop, tls=tls) as connection:
        with suppress(ConnectionError, ssl.SSLError):
            while connection.recv(2**16):
                pass
        found.check()


_FILES = 64
_LIMITED = ["bash", "-c", f'ulimit -n {_FILES}; exec "$0" "$@" 2>&1']


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("tls", [False, True])
def test_strangers_take_no_file_that_a_newcomer_or_the_record_needs(tls, cert, tmp_path):
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://a/"\ncapacity = 9\n', encoding="utf-8")
    command = Command(config, ttl_s=_TTL_S, within=_LIMITED, tls=cert if tls else None)
    connect = partial(Pool.connect, command.url, ca=cert[0] if tls else None, within_s=_WITHIN_S)
    with ExitStack() as stack:
        stack.callback(command.kill)
        before = stack.enter_context(connect(name="before"))
        lease = before.acquire(timeout=PATIENCE_S)
        for number in range(3):
            for _ in range(2 * _FILES):
                stack.enter_context(socket.create_connection(("127.0.0.1", command.port), PATIENCE_S))
            with connect(name=f"newcomer {number}") as newcomer, newcomer.lease(_WITHIN_S):
                assert f"newcomer {number}" in config.with_name("pool.toml.state").read_text(encoding="utf-8")
        assert not lease.ended
        before.acquire(timeout=_WITHIN_S).release()
        lease.release()


@contextmanager
def no_files_left():
    """Let this process open no file more."""
    next_one = os.open(os.devnull, os.O_RDONLY)
    os.close(next_one)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("tls", [False, True])
def test_when_no_file_is_left_the_longest_silent_one_gives_way(tls, cert):
    context = tls_of(*cert) if tls else None
    with (
        Serving("http://a/", token=TOKEN, tls=context) as serving,
        socket.socket() as silent,
        socket.socket() as newcomer,
    ):
        silent.connect(("127.0.0.1", serving.port))
        until(lambda: len(serving.server._open) == 1, within_s=PATIENCE_S)  # it counts from its beginning
        with no_files_left():
            newcomer.connect(("127.0.0.1", serving.port))
            assert silent.recv(1) == b""


def test_when_no_file_is_left_and_all_are_members_it_is_one_line(caplog, monkeypatch):
    monkeypatch.setattr(pool_server, "_AGAIN_S", 0.001)
    with Serving("http://a/", token=TOKEN) as serving, socket.socket() as newcomer:
        with no_files_left():
            newcomer.connect(("127.0.0.1", serving.port))
            until(lambda: bool(caplog.records))
        with Pool.connect(serving.url, token=TOKEN) as pool, pool.lease(PATIENCE_S):
            pass
    (line,) = caplog.records
    assert line.getMessage().startswith(
        "no open files are left (Too many open files), so new connections are refused; start"
    )
    assert line.exc_info is None


# -- who gives way ------------------------------------------------------------------------------------


def test_the_longest_waiting_of_the_largest_crowd_gives_way():
    limit = ConnectionLimit(4)
    limit.wait("member", "an opening", "a")
    limit.serve("member")
    for who, network in (("one", "b"), ("two", "c"), ("three", "c")):
        limit.wait(who, "an opening", network)
    assert limit.surplus() is None
    limit.wait("four", "an opening", "d")
    assert limit.surplus() == "two"  # "one" is alone in its network, though it waits for longer
    limit.wait("two", "a frame", "c")  # it has said something
    assert limit.surplus() == "one"
    for who in ("one", "two", "three", "four"):
        limit.serve(who)
    assert limit.surplus() is None  # nobody who is served gives way
    assert limit.served == len(limit) == 5


def test_those_who_are_waited_for_have_a_limit_of_their_own():
    limit = ConnectionLimit(100, 2)
    for who in range(3):
        limit.wait(who, "an opening", "a")
    assert limit.surplus() == 0
    limit.leave(0)
    limit.leave(0)
    assert (limit.surplus(), len(limit)) == (None, 2)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("10.0.0.1", 1), ("10.0.0.1", 2), True),
        (("10.0.0.1", 1), ("10.0.0.2", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:1", 1, 0, 0), True),
        (("2001:db8:0:1::1", 1, 0, 0), ("2001:db8:0:2::1", 1, 0, 0), False),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth0", 1, 0, 2), True),
        (None, None, True),
    ],
)
def test_what_a_network_is(one, other, same):
    assert (network_of(one) == network_of(other)) is same
