"""The page of a server shows all processes: who holds how many leases, and how many of it wait."""

import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from io import StringIO

import pytest
from rich.console import Console

from balancer import BalancerError, Pool
from balancer.observing.page.top import show
from tests.patience import PATIENCE_S
from tests.threads.crew import until
from tests.unit.page.test_page import TOKEN, ask, press, state
from tests.unit.test_prometheus import at, figures_in

RIGHT = f"Bearer {TOKEN}"
CONFIG = """
[[endpoints]]
url = "http://127.0.0.1:{1..2}/?key=${KEY}"
capacity = 2
"""


@contextmanager
def serving(config, *options, **environment):
    """Serve with a page; yield the process, where processes connect, and where the page is."""
    command = [sys.executable, "-m", "balancer", "serve", str(config), "--port", "0", "--page", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": "", **environment}) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"balancer://127\.0\.0\.1:\d+", process.stdout.readline())
            page = re.search(r"page at (http://127\.0\.0\.1:\d+/)", process.stdout.readline())
            assert found
            assert page
            yield process, found[0], page[1]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """Start a server with a page; yield where processes connect, and where the page is."""
    config = tmp_path_factory.mktemp("served") / "pool.toml"
    config.write_text(CONFIG)
    with serving(config, "--ttl", "1.5", KEY="c4n4ry-q", BALANCER_PAGE_TOKEN=TOKEN) as (_, server, page):
        yield server, page


def test_a_server_that_grants_nothing_yet_says_so_and_counts_who_waits(tmp_path):
    config = tmp_path / "pool.toml"
    config.write_text(CONFIG)
    config.with_name("pool.toml.state").write_text("{half")  # of an earlier server
    with serving(config, "--ttl", "600", KEY="k") as (_, server, page), Pool.connect(server, name="node 1") as pool:

        def wait():
            with suppress(BalancerError):
                pool.acquire()

        waiter = threading.Thread(target=wait)
        waiter.start()
        until(lambda: bool(state(page)["grace"]["waiting"]))
        found = state(page)
        assert 0 < found["grace"]["grants_at_s"] - found["at_s"] <= 600
        assert found["pool"]["acquired"] == 0
        out = StringIO()
        show(page, Console(file=out, width=110), most=1)
        assert "  1 waiting  " in out.getvalue()
        assert re.search(r"\nno leases are granted for \d+ min \d\d s, or until all members of an ", out.getvalue())
    waiter.join(PATIENCE_S)


def test_it_says_who_holds_what_and_that_is_what_is_in_flight(urls):
    server, page = urls
    with Pool.connect(server, name="node 1") as one, Pool.connect(server, name="node 2") as two:
        held = [one.acquire(), one.acquire(slots=2), two.acquire()]
        waiter = threading.Thread(target=lambda: two.acquire().release())
        waiter.start()
        until(lambda: bool(state(page)["pool"]["waiting"]))
        found = state(page)
        rows = {each["id"]: (each["leases"], each["slots"], each["waiting"]) for each in found["holders"]}
        assert rows == {"node 1": (2, 3, 0), "node 2": (1, 1, 1)}
        held_by = {each["id"]: sum(slots for _, slots in each["on"]) for each in found["holders"]}
        assert held_by == {"node 1": 3, "node 2": 1}
        shown = {each["name"] for each in found["endpoints"]}
        assert {name for each in found["holders"] for name, _ in each["on"]} == shown
        waits_since = {each["id"]: each["waits_since_s"] for each in found["holders"]}
        assert waits_since["node 1"] is None
        assert 0 <= found["at_s"] - waits_since["node 2"] < 600
        assert sum(each["in_flight"] for each in found["endpoints"]) == 4
        assert all(0 <= found["at_s"] - each["since_s"] < 600 for each in found["holders"])
        for lease in held:
            lease.release()
        waiter.join()
        until(lambda: not any(each["leases"] for each in state(page)["holders"]))
    seen = figures_in(ask(page, "GET", "/metrics")[1].decode())
    names = ("http://127.0.0.1:1/", "http://127.0.0.1:2/")
    assert sum(seen[at("outcomes_total", endpoint=name, outcome="success")] for name in names) == 4


def test_a_restart_puts_nothing_back_that_was_drained_and_shows_no_secret(tmp_path):
    config = tmp_path / "pool.toml"
    config.write_text(CONFIG)
    environment = {"KEY": "c4n4ry-q", "BALANCER_PAGE_TOKEN": TOKEN}
    with serving(config, **environment) as (_, _, page):
        assert press(page, "drain", state(page)["endpoints"][1]["id"], Authorization=RIGHT) == 200
    assert config.with_name("pool.toml.state").stat().st_mode & 0o077 == 0
    with serving(config, **environment) as (process, _, page):
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "drained, as before the restart: http://127.0.0.1:2/\n"
        first, second = state(page)["endpoints"]
        assert (first["state"], second["state"]) == ("active", "draining")
        assert press(page, "restore", second["id"], Authorization=RIGHT) == 200
    with serving(config, **environment) as (_, _, page):
        assert [each["state"] for each in state(page)["endpoints"]] == ["active", "active"]


def test_what_comes_and_goes_by_a_change_of_the_config_is_shown_without_secrets(tmp_path):
    config = tmp_path / "pool.toml"
    plain = '[[endpoints]]\nurl = "http://a/"\n'
    secret = '[[endpoints]]\nurl = "http://b/${KEY}/v1"\n'
    config.write_text(plain, encoding="utf-8")
    with serving(config, KEY="c4n4ry-p") as (process, server, page):
        assert process.stdout is not None
        config.write_text(plain + secret, encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        assert "1 added" in process.stdout.readline()
        seen = ask(page, "GET", "/state")[1].decode()
        assert "http://b/${KEY}/v1" in seen
        assert "c4n4ry" not in seen
        with Pool.connect(server) as pool, pool.lease(PATIENCE_S), pool.lease(PATIENCE_S):
            config.write_text(plain, encoding="utf-8")
            process.send_signal(signal.SIGHUP)
            assert "1 removed" in process.stdout.readline()
            figures = ask(page, "GET", "/metrics")[1].decode()  # the first look at what is on its way out
        assert "http://b/${KEY}/v1" in figures
        assert "c4n4ry" not in figures
