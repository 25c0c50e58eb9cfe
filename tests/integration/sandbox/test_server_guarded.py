"""The sandbox server and those who mean it no good: over real sockets, with real programs and small numbers."""

import contextlib
import json
import os
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path

import httpx2
import pytest

from balancer.errors import EndpointError, EndpointOverloaded
from balancer.program import ExecutorOptions, Limits, Program, Status
from balancer.sandbox.servers.fusion import FusionExecutor
from tests.integration.sandbox.processes import processes_with, wait_until
from tests.patience import PATIENCE_S, stretched
from tests.servers import RunningServer, running_server

LIMITS = Limits(cpu_s=10.0, wall_s=100.0)


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


def connected(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server.url)), timeout=PATIENCE_S)


def head(length: int) -> bytes:
    return (
        "POST /run_code HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def asked(server: RunningServer, **fields: object) -> socket.socket:
    """Return a connection on which a run has been asked for."""
    body = json.dumps(fields).encode()
    connection = connected(server)
    connection.sendall(head(len(body)) + body)
    return connection


def closed_after_s(connection: socket.socket) -> float:
    """Return how long it takes until the server closes; whatever it says before is read."""
    began_s = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(2**16):
            pass
    return time.monotonic() - began_s


def run(server: RunningServer, code: str = "print(1)", **fields: object) -> httpx2.Response:
    body = {"code": code, "language": "python"} | fields
    return httpx2.post(server.url + "run_code", json=body, timeout=PATIENCE_S, trust_env=False)


@pytest.fixture(scope="module")
def hasty():
    """A server that waits for nobody."""
    with running_server(workers=2, head_s=0.5, silent_s=0.5, body_s=2.0, keep_alive_s=1) as running:
        yield running


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("begin", "each"), [(b"GET /v1/ping HTTP/1.1\r\nX-", b"a"), (head(1000), b" ")])
def test_a_drop_now_and_then_keeps_nothing_open(hasty, begin, each):
    began_s = time.monotonic()
    with connected(hasty) as connection:
        connection.sendall(begin)
        connection.settimeout(0.2)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began_s < PATIENCE_S:
                connection.sendall(each)
                try:
                    if not connection.recv(2**16):
                        break
                except TimeoutError:
                    continue
    assert time.monotonic() - began_s < stretched(6)


def test_the_number_of_connections_is_bounded_and_the_most_silent_gives_way():
    with running_server(workers=1, connections=20) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(server)) for _ in range(60)]
        assert run(server).json()["run_result"]["stdout"] == "1\n"
        for connection in silent[:40]:
            assert closed_after_s(connection) < stretched(3)
        assert metric(server, "balancer_sandbox_connections") <= 20
        assert metric(server, 'balancer_sandbox_closed_total{reason="room"}') >= 40


def test_who_is_being_served_does_not_give_way():
    with running_server(workers=1, connections=4) as server, contextlib.ExitStack() as stack:
        served = stack.enter_context(asked(server, code="import time; time.sleep(1); print(7)", language="python"))
        wait_until(lambda: metric(server, "balancer_sandbox_running") == 1)
        for _ in range(20):
            stack.enter_context(connected(server))
        answer = b""
        while chunk := served.recv(2**16):
            answer += chunk
            if b"7\\n" in answer:
                break
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"7\\n" in answer


def metric(server: RunningServer, name: str) -> float:
    text = httpx2.get(server.url + "metrics", trust_env=False, timeout=PATIENCE_S).text
    lines = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].split()[-1]) if lines else 0.0  # what has not happened yet is not there


def test_who_has_gone_frees_the_worker_and_the_program_is_killed(marker):
    with running_server(workers=1) as server:
        fields = {"code": "while True: pass", "language": "python", "args": [marker], "run_timeout": 60}
        for _ in range(5):
            with asked(server, **fields):
                wait_until(lambda: bool(processes_with(marker)))
            began_s = time.monotonic()
            assert run(server).json()["run_result"]["stdout"] == "1\n"
            assert time.monotonic() - began_s < stretched(2)
            assert not processes_with(marker)
        assert metric(server, 'balancer_sandbox_requests_total{end="abandoned"}') == 5


def test_a_full_queue_says_so_and_our_client_hears_an_overload(marker):
    with running_server(workers=1, queue=1) as server, contextlib.ExitStack() as stack:
        fields = {"code": "while True: pass", "language": "python", "args": [marker], "run_timeout": 60}
        stack.enter_context(asked(server, **fields))
        wait_until(lambda: bool(processes_with(marker)))
        stack.enter_context(asked(server, **fields))
        wait_until(lambda: metric(server, "balancer_sandbox_waiting") == 1)
        answer = run(server)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        executor = FusionExecutor(server.url)
        with pytest.raises(EndpointOverloaded) as caught:
            executor.run(Program("python", "print(1)"), b"", LIMITS, {})
        executor.close()
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s >= 1
        assert metric(server, 'balancer_sandbox_requests_total{end="busy"}') == 2


def test_bodies_are_bounded_in_total_and_small_ones_go_on():
    """Four clients of 700 kB each, of which two fit; a small request is served meanwhile, and memory is given back."""
    with running_server(workers=1, body_bytes=2**20, held_bytes=2 * 2**20, small_bytes=2**16) as server:
        sent = b" " * 700_000
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connected(server)) for _ in range(4)]
            for client in clients:
                client.sendall(head(1_000_000) + sent)
            wait_until(lambda: metric(server, 'balancer_sandbox_requests_total{end="busy"}') == 2)
            assert metric(server, "balancer_sandbox_held_bytes") <= 2 * 2**20
            assert run(server).json()["run_result"]["stdout"] == "1\n"
        wait_until(lambda: metric(server, "balancer_sandbox_held_bytes") == 0)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_too_large_is_refused(announced):
    with running_server(workers=1, body_bytes=2**16) as server, connected(server) as connection:
        if announced:
            connection.sendall(head(2**16 + 1))  # and is not waited for
        else:
            connection.sendall(head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
            connection.sendall(b"10001\r\n" + b" " * (2**16 + 1) + b"\r\n")
        assert connection.recv(2**16).startswith(b"HTTP/1.1 413")


def test_an_answer_that_nobody_reads_is_given_up():
    with running_server(workers=1, answer_s=0.5) as server:
        with asked(server, code="print('x' * 12_000_000)", language="python"):
            wait_until(lambda: metric(server, "balancer_sandbox_held_bytes") > 10**6)
            wait_until(lambda: metric(server, "balancer_sandbox_held_bytes") == 0)
        assert run(server).json()["run_result"]["stdout"] == "1\n"


def test_a_token_is_asked_for_and_our_client_has_it():
    token = "correct-horse-battery-staple"
    with running_server(workers=1, token=token) as server:
        for path in ("v1/ping", "v1/about", "metrics"):
            assert httpx2.get(server.url + path, timeout=PATIENCE_S, trust_env=False).status_code == 401
        assert run(server).status_code == 401
        executor = FusionExecutor(server.url, ExecutorOptions(headers={"Authorization": f"Bearer {token}"}))
        executor.ping()
        done = executor.run(Program("python", "print(1)"), b"", LIMITS, {})
        assert (done.status, done.stdout) == (Status.FINISHED, b"1\n")
        executor.close()
        wrong = FusionExecutor(server.url, ExecutorOptions(headers={"Authorization": "Bearer wrong-but-long-enough"}))
        with pytest.raises(EndpointError, match="answered 401"):
            wrong.ping()
        wrong.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 400),  # its name was made to mean this machine
        ({"Content-Type": "text/plain"}, 415),  # what a form can send without asking first
        ({"Host": "localhost:1"}, 200),  # by a tunnel
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 200),
    ],
)
def test_web_pages_are_refused(hasty, headers, status):
    content = b'{"code": "print(1)", "language": "python"}'
    sent = {"Content-Type": "application/json"} | headers
    answer = httpx2.post(hasty.url + "run_code", content=content, headers=sent, timeout=PATIENCE_S, trust_env=False)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "fields",
    [
        {"files": {"/".join(["d"] * 2000): ""}},
        {"files": {"a": "", "a/b": ""}},
        {"files": {"a": ""}, "extras": {"a/b": ""}},
        {"files": {f"f{n}": "" for n in range(5000)}},
        {"args": ["x" * 200_000]},
        {"args": ["\0"]},
        {"output_limit": 2**28},
    ],
    ids=lambda value: next(iter(value)),
)
def test_what_cannot_be_laid_out_is_the_clients_fault(hasty, fields):
    answer = run(hasty, **fields)
    assert answer.status_code == 422, answer.text[:500]
    assert answer.json()["detail"][0]["msg"]


@pytest.fixture
def folder():
    """A folder for temporary files through which programs' users may pass (pytest's own is closed to them)."""
    with tempfile.TemporaryDirectory(prefix="balancer-test-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(number, marker, folder):
    caught: list[EndpointError] = []
    with running_server(folder=folder) as server:
        executor = FusionExecutor(server.url)
        program = Program("python", "import time; time.sleep(60)", args=(marker,))

        def ask() -> None:
            try:
                executor.run(program, b"", LIMITS, {})
            except EndpointError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: bool(processes_with(marker)))
        assert list(folder.iterdir())
        started_s = time.monotonic()
        os.kill(server.pid, number)
        thread.join()
        executor.close()
        wait_until(lambda: not Path(f"/proc/{server.pid}/cmdline").read_bytes())  # a zombie: ended, not waited for
        assert time.monotonic() - started_s < stretched(3)
    assert "stopped, because the executor was closed" in caught[0].reason
    assert not list(folder.iterdir())
