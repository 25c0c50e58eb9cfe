"""A server that stands by: how processes find who serves, what they are told, and what Valkey keeps."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from balancer import AcquireTimeout, BalancerError, ConfigError, NotConnected, Pool
from balancer.cluster.leader import LeaderClaim
from balancer.cluster.protocol.claim import claim_times
from balancer.cluster.stores.valkey import ValkeyStore
from balancer.cluster.tcp.address import addresses_of
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.standby import StandbyListener
from balancer.commands.serve import claim_of
from balancer.commands.served_changes import ServedChanges
from balancer.commands.standing_by import Standby
from balancer.hookspecs import KeyValueStore, StorePlugin
from balancer.observing.page.serving import PageContents, open_page
from balancer.observing.page.standby_page import open_standby_page
from balancer.plugins.loading import names_of_store
from balancer.plugins.registry import default_registry
from tests.cluster.relay import Relay
from tests.cluster.serving import Command, Serving
from tests.patience import PATIENCE_S
from tests.threads.crew import until

_TOKEN = "a token of sixteen"


# -- the processes that lease ----------------------------------------------------------------------


def test_a_url_may_name_several_servers() -> None:
    assert [str(each) for each in addresses_of("balancers://10.0.0.8,[::1]:7466")] == [
        "balancers://10.0.0.8:7465",
        "balancers://[::1]:7466",
    ]
    with pytest.raises(ConfigError, match="it must be like"):
        addresses_of("balancer://10.0.0.8,")


@contextmanager
def _standing_by(why: str) -> Iterator[int]:
    """Yield the port of a server that stands by."""
    ready, over, ports = threading.Event(), asyncio.Event(), list[int]()
    loops = list[asyncio.AbstractEventLoop]()

    async def stay() -> None:
        async with StandbyListener("127.0.0.1", 0, None, _TOKEN, lambda: why) as listener:
            ports.append(listener.port)
            loops.append(asyncio.get_running_loop())
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(stay()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S)
    yield ports[0]
    loops[0].call_soon_threadsafe(over.set)
    thread.join(PATIENCE_S)


def test_who_asks_one_that_stands_by_goes_on_to_the_one_that_serves() -> None:
    with _standing_by("this server stands by") as port, Serving("http://a/", ttl_s=60.0, token=_TOKEN) as serving:
        url = f"balancer://127.0.0.1:{port},127.0.0.1:{serving.port}"
        with Pool.connect(url, token=_TOKEN, within_s=PATIENCE_S) as pool:
            pool.acquire(PATIENCE_S).release()
            assert pool.served.url == url


def test_one_that_stands_by_says_who_serves_to_those_that_have_the_token() -> None:
    with _standing_by("this server stands by; balancer://10.0.0.8:7465 serves the pool") as port:
        with pytest.raises(NotConnected, match=r"stands by; balancer://10\.0\.0\.8:7465 serves"):
            Pool.connect(f"balancer://127.0.0.1:{port}", token=_TOKEN, within_s=PATIENCE_S)
        with pytest.raises(NotConnected, match="the token is wrong"):
            Pool.connect(f"balancer://127.0.0.1:{port}", token="another one of them", within_s=PATIENCE_S)
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            stranger.settimeout(PATIENCE_S)
            assert stranger.recv(100) == b""


def test_a_lease_outlives_the_server_and_is_reported_to_the_next_one() -> None:
    with Serving("http://a/", ttl_s=60.0) as first, Serving("http://a/", ttl_s=60.0) as early:
        pool = Pool.connect(f"balancer://127.0.0.1:{first.port},127.0.0.1:{early.port}", within_s=PATIENCE_S)
        lease = pool.acquire(PATIENCE_S)
        port = early.port
        early.stop()
        first.stop()
        with Serving("http://a/", ttl_s=60.0, last=first.records[-1], port=port) as second:
            until(lambda: len(second.pool.leases()) == 1)
            assert not lease.ended
            lease.release()
            pool.acquire(PATIENCE_S).release()
            pool.close()


@pytest.mark.more
def test_a_server_that_cannot_confirm_its_claim_says_why_and_not_that_capacity_is_short() -> None:
    may = threading.Event()
    may.set()
    why = "it grants nothing: Ray's control store cannot be reached: RpcError: unavailable"
    with Serving("http://a/", ttl_s=60.0, may=may.is_set, why_not=lambda: why) as serving:
        pool = Pool.connect(serving.url, within_s=PATIENCE_S)
        lease = pool.acquire(PATIENCE_S)
        may.clear()
        with pytest.raises(AcquireTimeout) as caught:
            pool.acquire(0.1)
        assert caught.value.apart
        assert caught.value.why_apart == why
        assert str(caught.value).endswith(f"there is no contact with the server of the pool: {why}")
        with pytest.raises(NotConnected, match="RpcError: unavailable"):
            Pool.connect(serving.url, within_s=PATIENCE_S)
        assert not lease.ended, "leases last as long as they would without contact"
        may.set()
        lease.release()
        pool.acquire(PATIENCE_S).release()
        pool.close()


def test_a_server_that_cannot_confirm_its_claim_changes_nothing_and_says_why() -> None:
    may = threading.Event()
    may.set()
    with Serving("http://a/", ttl_s=60.0, may=may.is_set, why_not=lambda: "the store is away") as serving:
        made = asyncio.run_coroutine_threadsafe(_changes_of(serving), serving.loop).result(PATIENCE_S)
        made.add("http://b/")
        may.clear()
        with pytest.raises(BalancerError, match="nothing is changed: the store is away"):
            made.add("http://c/")
        assert [each.url for each in made.endpoints()] == ["http://a/", "http://b/"]


async def _changes_of(serving: Serving) -> ServedChanges:
    return ServedChanges(serving.server, serving.pool)


def test_an_operator_is_told_when_a_server_grants_nothing_and_when_it_does_again() -> None:
    store, told = _Store(), list[str]()
    claim = LeaderClaim("p", claim_times(0.5), store, clock)
    assert claim.stand_by()
    staying = threading.Thread(target=claim.stay, args=(told.append,), daemon=True)
    staying.start()
    until(lambda: claim.sure)
    store.away = True
    until(lambda: len(told) == 1)
    assert "it grants nothing: no answer" in told[0]
    store.away = False
    until(lambda: len(told) == 2)
    assert told[1] == "it has confirmed its claim, and grants again"
    claim.leave()
    staying.join(PATIENCE_S)


class _Store:
    """Texts of this process, which may be away."""

    called = "mine://"

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.away = False

    def _look(self) -> None:
        if self.away:
            raise OSError("no answer")

    def get(self, name: str) -> str | None:
        self._look()
        return self.texts.get(name)

    def put(self, name: str, text: str) -> None:
        self._look()
        self.texts[name] = text

    def swap(self, name: str, before: str | None, text: str) -> bool:
        self._look()
        if self.texts.get(name) != before:
            return False
        self.texts[name] = text
        return True

    def drop(self, name: str) -> None:
        self._look()
        self.texts.pop(name, None)


# -- the store -------------------------------------------------------------------------------------


@contextmanager
def valkey(folder: Path, port: int, *more: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a Valkey that keeps what it has on a disk."""
    options = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
        "--save",
        "",
        "--appendonly",
        "yes",
        *more,
    ]
    with subprocess.Popen(["valkey-server", *options], stdout=subprocess.DEVNULL) as process:
        try:
            store = ValkeyStore(f"valkey://127.0.0.1:{port}", PATIENCE_S)
            until(lambda: answers(store))
            store.close()
            yield process
        finally:
            process.kill()


def answers(store: KeyValueStore) -> bool:
    try:
        store.get("a name")
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def taken(claim: LeaderClaim) -> bool:
    with suppress(OSError):  # a busy machine answers late
        return claim.stand_by()
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.mark.needs("valkey-server")
def test_valkey_changes_one_text_at_a_time_and_forgets_what_it_had_before_it_was_started_again(tmp_path: Path) -> None:
    port = free_port()
    store = ValkeyStore(f"redis://127.0.0.1:{port}/0", PATIENCE_S)
    with valkey(tmp_path, port):
        assert store.get("p") is None
        assert not store.swap("p", "old", "new")
        assert store.swap("p", None, "one two")
        assert not store.swap("p", None, "new")
        assert store.get("p") == "one two"
        assert store.swap("p", "one two", "three")
        store.put("q", "")
        assert store.get("q") == ""
        store.drop("q")
        assert store.get("q") is None
    with pytest.raises(OSError, match=f"redis://127.0.0.1:{port}: "):
        store.get("p")
    with valkey(tmp_path, port):
        assert store.get("p") is None, "it may have lost the last changes"
        assert store.swap("p", None, "four")
        store.close()


@pytest.mark.needs("valkey-server")
def test_a_wrong_password_is_a_mistake_and_no_reason_to_wait(tmp_path: Path) -> None:
    port = free_port()
    with valkey(tmp_path, port, "--requirepass", "right"):
        claim = LeaderClaim("p", claim_times(2.0), ValkeyStore(f"valkey://:wrong@127.0.0.1:{port}", PATIENCE_S), clock)
        waits = Standby(claim, host="127.0.0.1", port=0, tls=None, token=_TOKEN, say=print)
        with pytest.raises(ConfigError, match="refuses the user or the password") as caught:
            asyncio.run(waits.wait())
    assert "wrong" not in str(caught.value)


@pytest.mark.needs("valkey-server")
def test_of_two_claims_in_a_valkey_one_counts_until_it_is_left_or_cut_off(tmp_path: Path) -> None:
    port = free_port()
    with valkey(tmp_path, port), Relay(port) as relay:
        stores = [ValkeyStore(f"valkey://127.0.0.1:{each}", s) for each, s in ((relay.port, 0.2), (port, PATIENCE_S))]
        first, second = (LeaderClaim("p", claim_times(2.0), store, clock) for store in stores)
        first.shown = "balancer://10.0.0.8:7465"
        until(lambda: taken(first))
        staying = threading.Thread(target=first.stay, daemon=True)
        staying.start()
        took = [False]  # on a busy machine perhaps before the first one is cut off

        def second_has_it() -> bool:
            took[0] = took[0] or second.stand_by()
            return took[0]

        until(lambda: second_has_it() or second.serving == first.shown)
        relay.cut = True
        until(lambda: not first.sure)
        assert re.search("it cannot confirm that no other server serves this pool|lost its claim", first.why_not())
        until(second_has_it)
        relay.cut = False
        until(lambda: first.lost)
        assert "another one serves" in first.why_not()
        second.leave()
        third = LeaderClaim("p", claim_times(1e6), stores[1], clock)
        until(third.stand_by)  # at once: what is left is not waited for
        staying.join(PATIENCE_S)
        for store in stores:
            store.close()


def test_what_cannot_be_used_as_a_claim_is_told_without_its_password() -> None:
    assert claim_of(None, None, Path("a/pool.toml")) is None
    assert claim_of("valkey://h", None, Path("a/pool.toml")) == "valkey://h#pool.toml"
    assert claim_of("valkey://h#judges", None, Path("a/pool.toml")) == "valkey://h#judges"
    with pytest.raises(ConfigError, match="leave one out"):
        claim_of("valkey://h", Path("a.state"), Path("a/pool.toml"))
    with pytest.raises(ConfigError) as caught:
        default_registry().store("valkey://:secret@h:99999", 1.0)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="unknown store 'postgres'"):
        default_registry().store("postgres://h", 1.0)
    with pytest.raises(TypeError, match="must be a StorePlugin"):
        names_of_store("valkey")
    assert names_of_store(StorePlugin(("mine",), lambda url, timeout_s: ValkeyStore(url, timeout_s), "")) == ("mine",)


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.more
@pytest.mark.needs("valkey-server")
def test_of_two_commands_one_serves_and_the_other_takes_over(tmp_path: Path) -> None:
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://10.0.0.1/"\ncapacity = 2\n', encoding="utf-8")
    port = free_port()
    with valkey(tmp_path, port):
        claim = f"valkey://127.0.0.1:{port}"
        first = Command(config, ttl_s=3.0, claim=claim)
        second = Command(config, ttl_s=3.0, claim=claim)
        try:
            assert first.said.startswith("serving 2 slots")
            assert second.said.startswith("standing by at ")
            with Pool.connect(f"{first.url},127.0.0.1:{second.port}", within_s=PATIENCE_S) as pool:
                pool.acquire(PATIENCE_S).release()
                second.process.send_signal(signal.SIGHUP)  # it reads its config when its turn comes
                config.write_text('[[endpoints]]\nurl = "http://10.0.0.{1..2}/"\ncapacity = 2\n', encoding="utf-8")
                first.kill()
                leases = [pool.acquire(PATIENCE_S) for _ in range(4)]  # of the second one, by its newer config
                assert second.process.stdout is not None
                assert second.process.stdout.readline().startswith("serving 4 slots of 2 endpoints")
                for lease in leases:
                    lease.release()
                first = Command(config, ttl_s=3.0, claim=claim, port=first.port)
                assert re.search(f"stands by; {second.url} serves the pool", first.said)
                second.process.terminate()
                assert second.process.wait(PATIENCE_S) == 128 + signal.SIGTERM
                pool.acquire(PATIENCE_S).release()
        finally:
            first.kill()
            second.kill()


# -- alive, and ready ------------------------------------------------------------------------------


def asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_the_page_of_one_that_stands_by_says_who_serves_and_that_it_is_alive_but_not_ready() -> None:
    why = "this server stands by; <balancer://10.0.0.8:7465> serves the pool"
    page, port = open_standby_page("127.0.0.1", 0, lambda: why, "judges")
    with page:
        assert page.url == f"http://127.0.0.1:{port}/"
        assert asked(f"{page.url}livez") == asked(f"{page.url}healthz") == (200, "ok\n")
        assert asked(f"{page.url}readyz") == (503, f"{why}\n")
        status, html = asked(page.url)
        assert status == 503
        assert "<h1>judges</h1><p>this server stands by; &lt;balancer://10.0.0.8:7465&gt; serves" in html
        assert asked(f"{page.url}state") == (503, json.dumps({"error": why}, separators=(",", ":")))
    again, _ = open_standby_page("127.0.0.1", port, lambda: why, "")  # as the one that serves does
    again.close()


def test_a_page_says_why_its_server_is_not_ready() -> None:
    why = ["it cannot confirm that no other server serves this pool"]
    contents = PageContents(unready=lambda: why[0])
    with Pool(["http://a/"]) as pool, open_page(pool, contents=contents) as page:
        assert asked(f"{page.url}readyz") == (503, f"{why[0]}\n")
        assert json.loads(asked(f"{page.url}state")[1])["unready"] == {"why": why[0]}
        why[0] = ""
        assert asked(f"{page.url}readyz") == asked(f"{page.url}livez") == (200, "ok\n")
        assert "unready" not in json.loads(asked(f"{page.url}state")[1])
