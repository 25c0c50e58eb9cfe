"""How a server ends, what it does when files run out, and what it says of those who speak something else."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from balancer import NotConnected, Pool
from balancer.cluster.protocol.messages import JoinRequest, MemberId
from balancer.cluster.tcp.codec import VERSION, Opening, encoded
from balancer.reporting.streams import never_waiting
from tests.cluster.serving import Command, Serving, why_not_connected
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S

_LIMITED = ["bash", "-c", 'ulimit -Sn 40; ulimit -Hn 64; exec "$0" "$@" 2>&1']


def test_a_signal_ends_it_at_once_though_members_are_connected(tmp_path):
    """And it takes as many members as its hard limit of files leaves room for, and says so to those beyond."""
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://a/"\n', encoding="utf-8")
    command = Command(config, ttl_s=1.0, within=_LIMITED)
    try:
        limits = Path(f"/proc/{command.process.pid}/limits").read_text(encoding="utf-8")
        assert re.search(r"Max open files +64 +64 ", limits)
        crowd = [joined(command.port, str(number)) for number in range(32)]
        with pytest.raises(NotConnected, match=r"has 32 connections, the most that its limit of open files"):
            Pool.connect(command.url)
        for each in crowd:
            each.close()
        pool = Pool.connect(command.url)
        command.process.send_signal(signal.SIGTERM)
        said, _ = command.process.communicate(timeout=PATIENCE_S)
        assert command.process.returncode == 128 + signal.SIGTERM
        assert re.fullmatch(r"closed a connection from 127.0.0.1: this server has .*\nbalancer: stopped\n", said)
        pool.close()
    finally:
        command.kill()


def joined(port, name):
    """Return the connection of a member that has sent its first frames, and got an answer."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    who = MemberId(name, "1")
    connection.sendall(encoded(Opening(VERSION, "", who, None)) + encoded(JoinRequest(who, 0.0)))
    assert connection.recv(1)
    return connection


def test_one_who_speaks_tls_or_http_is_told_what_to_do_and_the_log_says_it_once(
    caplog,
):
    with Serving("http://a/") as serving:
        why = r"it speaks no TLS, .* connect to balancer://$"
        assert re.search(why, why_not_connected(serving.url.replace("balancer:", "balancers:"), why))
        with socket.create_connection(("127.0.0.1", serving.port)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert browser.recv(1) == b""
    (line,) = [each.getMessage() for each in caplog.records]
    assert line.startswith(
        "closed a connection from 127.0.0.1: found TLS at the port of a pool; this server has no TLS"
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (
            "balancer://127.0.0.1:1",
            r"not connected within .* s: .*Connection refused; is `balancer serve` running there, at this port",
        ),
        ("balancer://no.such.host.invalid", r"no address is known for 'no.such.host.invalid'; check the host"),
    ],
)
def test_what_to_do_where_nobody_answers(url, why):
    assert re.search(why, why_not_connected(url, why))


@pytest.fixture
def full_pipe():
    """The end to write to of a pipe that is full, and that nobody reads."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writes, bytes(4096))
    os.set_blocking(writes, True)
    yield writes
    os.close(reads)
    os.close(writes)


def _answers(port, said):
    """Return the first bytes of what a server answers, once it listens."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as stranger:
                stranger.sendall(said)
                return stranger.recv(12)
        except ConnectionError:
            assert time.monotonic() < end_s
            time.sleep(0.02)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("what", ["serve", "page", "sandbox"])
def test_output_that_nobody_reads_stops_no_server(tmp_path, full_pipe, what):
    """Each says where it listens, and logs; the pipe of a supervisor that does not read is full some day."""
    (tmp_path / "pool.toml").write_text('[[endpoints]]\nurl = "http://a/"\n', encoding="utf-8")
    port = _free_port()
    command = {
        "serve": ["serve", "pool.toml", "--port", str(port), "--ttl", "1"],
        "page": ["serve", "pool.toml", "--port", "0", "--page", str(port)],
        "sandbox": ["sandbox", "--port", str(port)],
    }[what]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "balancer", *command],
        cwd=tmp_path,
        env=environment,
        stdout=full_pipe,
        stderr=full_pipe,
    )
    try:
        for _ in range(2):  # the first is logged
            assert _answers(port, b"nonsense\r\n\r\n")
        if what == "serve":
            with Pool.connect(f"balancer://127.0.0.1:{port}") as pool, pool.lease(timeout=PATIENCE_S):
                pass
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == (0 if what == "sandbox" else 128 + signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def test_what_was_left_out_is_said_once_there_is_room(full_pipe, monkeypatch):
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb", 0) as reader, os.fdopen(writes, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        with never_waiting():
            print("first")
            assert reader.read(100) == b"first\n"
            print("x" * 2**20)
            print("left out")
            kept = sum(len(reader.read(4096)) for _ in range(16))
            assert kept == 65536
            print("again")
            said = reader.read(100)
        assert said == b"\n(%d bytes were left out here: nobody read them)\nagain\n" % (2**20 + 1 - kept + 9)
        assert sys.stdout is output
