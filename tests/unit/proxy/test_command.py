"""The command: what it says of mistakes, and two of its processes that share one port and one pool."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.cluster.serving import Command
from tests.patience import PATIENCE_S
from tests.unit.command import balancer as balancer
from tests.unit.command import registry as registry
from tests.unit.proxy.harness import Client, Server, answering, until

_GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('[[endpoints]]\nurl = "local://1"', "proxy: endpoint url is 'local://1'"),
        ("[proxy]\nattempts = 2", "endpoints: there are none; list the servers, each with its url"),
        (
            '[[endpoints]]\nurl = "http://a/"\n[[proxy.tenants]]\nname = "a"\ntoken = "b"',
            "proxy.tenants[0].token: the token has 1",
        ),
        ('[[endpoints]]\nurl = "http://a/"\n[proxy]\nroutes = ["x"]', "unknown route 'x'"),
        ('[[endpoints]]\nurl = "http://a/"\n[proxy.sessions]\nids = []', "nothing names a session"),
        ('[[endpoints]]\nurl = "http://a/"\n[proxy]\nca = "/none"', "proxy: ca /none: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line(balancer, tmp_path, config, said):
    file = tmp_path / "c.toml"
    file.write_text(config)
    assert said in balancer("proxy", str(file), "--port", "0").refusal


@contextmanager
def _proxy(config, *options):
    environment = {name: value for name, value in os.environ.items() if name != "BALANCER_SERVE_TOKEN"}
    command = [sys.executable, "-m", "balancer", "proxy", str(config), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://[\d.]+:(\d+)/", said)
        assert found, said
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()


async def _asked(port):
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        return (await client.ask(_GET)).status
    finally:
        client.close()


@pytest.mark.more
async def test_two_processes_share_a_port_and_a_pool(tmp_path):
    most, now = 0, 0

    async def behave(_, __, ___, writer):
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1
        await answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(_, __, ___, writer)

    server = Server(behave)
    await server.start()
    pool, own = tmp_path / "pool.toml", tmp_path / "proxy.toml"
    pool.write_text(f'[[endpoints]]\nurl = "http://127.0.0.1:{server.port}/"\ncapacity = 3\n')
    own.write_text("[proxy]\ngrace_s = 60.0\n")
    served = await asyncio.to_thread(Command, pool, ttl_s=10.0)
    try:
        options = ("--pool", served.url, "--shared")
        with (
            _proxy(own, *options, "--port", "0") as (first, port),
            _proxy(own, *options, "--port", str(port)) as other,
        ):
            assert other[1] == port
            statuses = await asyncio.gather(*(_asked(port) for _ in range(60)))
            assert set(statuses) == {200}
            assert most <= 3  # of both together
            for process in (first, other[0]):
                process.send_signal(signal.SIGTERM)
                await until(lambda process=process: process.poll() is not None)
                assert process.returncode == 143
    finally:
        served.kill()
        await server.end()


@pytest.mark.more
def test_a_signal_makes_it_read_its_tenants_again(tmp_path, capfd):
    def write(token):
        tenant = f'[[proxy.tenants]]\nname = "ann"\ntoken = "{token}"\n' if token else ""
        file.write_text(f'[[endpoints]]\nurl = "http://127.0.0.1:1/"\n{tenant}')

    file = tmp_path / "c.toml"
    write("a" * 16)
    with _proxy(file, "--port", "0") as (process, _):
        assert process.stdout is not None
        write("b" * 16)
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "read the config again: 1 tenant; all else changes with a restart\n"
        write("")
        process.send_signal(signal.SIGHUP)
        said = ""
        began = time.monotonic()
        while "restart for that" not in said and time.monotonic() - began < PATIENCE_S:
            said += capfd.readouterr().err
            time.sleep(0.01)
        assert "the config is not read again: tenants: there are none any more" in said


async def test_a_port_that_is_taken_is_one_line(tmp_path):
    server = Server(answering(b""))
    await server.start()
    config = tmp_path / "c.toml"
    config.write_text('[[endpoints]]\nurl = "http://a/"')
    command = [sys.executable, "-m", "balancer", "proxy", str(config), "--port", str(server.port)]
    said = await asyncio.to_thread(subprocess.run, command, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    await server.end()
    assert said.stderr.startswith("balancer: cannot listen on")
    assert said.stderr.count("\n") == 1
