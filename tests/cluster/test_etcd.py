"""A claim in a real etcd: one change at a time, a member that is away, a user, a restart, and two servers."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from balancer import ConfigError, Pool
from balancer.cluster.leader import LeaderClaim
from balancer.cluster.protocol.claim import claim_times
from balancer.cluster.stores.etcd import EtcdStore
from balancer.cluster.tcp.clock import clock
from balancer.plugins.registry import default_registry
from tests.cluster.serving import Command
from tests.cluster.test_standby import answers, free_port, taken
from tests.patience import PATIENCE_S
from tests.threads.crew import until


@contextmanager
def etcd(folder: Path, port: int) -> Iterator[str]:
    """Run an etcd of one member that keeps what it has in `folder`; yield the URL of the store."""
    url, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    options = {
        "data-dir": folder / "etcd",
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "log-level": "fatal",
    }
    with subprocess.Popen(["etcd", *(f"--{name}={value}" for name, value in options.items())]) as process:
        try:
            store = EtcdStore(f"etcd://127.0.0.1:{port}", PATIENCE_S)
            until(lambda: answers(store))
            store.close()
            yield f"etcd://127.0.0.1:{port}"
        finally:
            process.kill()


def _asked(url: str, path: str, **asked: Any) -> None:
    there = url.replace("etcd://", "http://")
    request = urllib.request.Request(f"{there}/v3/auth/{path}", data=json.dumps(asked).encode())
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()


@pytest.mark.needs("etcd")
def test_etcd_changes_one_text_at_a_time_has_them_after_a_restart_and_lets_in_who_has_the_password(
    tmp_path: Path,
) -> None:
    port = free_port()
    with etcd(tmp_path, port) as url:
        away = f"etcd://127.0.0.1:{free_port()},127.0.0.1:{port}"  # the first member is not there
        first, second = EtcdStore(url, PATIENCE_S), EtcdStore(away, PATIENCE_S)
        assert first.get("a") is None
        assert first.swap("a", None, "one two")
        assert not second.swap("a", None, "three")
        assert not second.swap("a", "one", "three")
        assert second.swap("a", "one two", "three")
        assert first.get("a") == "three"
        first.drop("a")
        first.drop("a")
        assert not second.swap("a", "three", "four")
        second.put("a", "five")
    with pytest.raises(OSError, match=f"etcd://127.0.0.1:{port}: "):
        first.get("a")
    with etcd(tmp_path, port) as url:
        assert first.get("a") == "five"
        _asked(url, "user/add", name="root", password="p@ss")
        _asked(url, "role/add", name="root")
        _asked(url, "user/grant", user="root", role="root")
        _asked(url, "enable")
        with pytest.raises(PermissionError, match="refuses the user or the password"):
            first.get("a")
        for wrong in ("root:no", "nobody:p%40ss"):
            with pytest.raises(PermissionError, match="refuses the user or the password"):
                EtcdStore(url.replace("//", f"//{wrong}@"), PATIENCE_S).get("a")
        known = EtcdStore(url.replace("//", "//root:p%40ss@"), PATIENCE_S)
        assert known.get("a") == "five"
        assert known.swap("a", "five", "six")
        assert "p" not in known.called.removeprefix("etcd://")
        for store in (first, second, known):
            store.close()


class _Late(EtcdStore):
    """Another writer comes between what it reads and what it writes."""

    def __init__(self, url: str, other: EtcdStore) -> None:
        super().__init__(url, PATIENCE_S)
        self._other = other

    def _ask(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        if path == "kv/txn":
            self._other.put("a", "theirs")
        return super()._ask(path, asked)


@pytest.mark.needs("etcd")
@pytest.mark.parametrize("before", [None, "ours"])
def test_who_reads_before_another_one_writes_does_not_write_over_it(tmp_path: Path, before: str | None) -> None:
    with etcd(tmp_path, free_port()) as url:
        other = EtcdStore(url, PATIENCE_S)
        if before is not None:
            other.put("a", before)
        late = _Late(url, other)
        assert not late.swap("a", before, "late")
        assert other.get("a") == "theirs"
        late.close()
        other.close()


class _OfAnother(EtcdStore):
    """An etcd that was restored from a backup: its cluster has another id."""

    def _ask(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        said = super()._ask(path, asked)
        return {**said, "header": {**said["header"], "cluster_id": "7"}}


@pytest.mark.needs("etcd")
def test_what_was_there_before_a_restore_from_a_backup_is_not_believed_and_of_two_claims_one_counts(
    tmp_path: Path,
) -> None:
    with etcd(tmp_path, free_port()) as url:
        before, after = EtcdStore(url, PATIENCE_S), _OfAnother(url, PATIENCE_S)
        before.put("a", "one")
        assert after.get("a") is None
        assert not after.swap("a", "one", "two")
        assert after.swap("a", None, "two")
        assert (before.get("a"), after.get("a")) == (None, "two")
        times = claim_times(PATIENCE_S)
        claims = [LeaderClaim("pool", times, before, clock) for _ in range(2)]
        assert claims[0].stand_by()
        assert claims[0].sure
        assert not claims[1].stand_by()
        claims[0].leave()
        until(lambda: taken(claims[1]))
        assert not claims[0].look()
        for store in (before, after):
            store.close()


@pytest.mark.parametrize("url", ["etcd://", "etcd://user:secret@", "etcd://h:1,", "etcd://user:secret@a b:1"])
def test_a_url_that_cannot_be_used_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"it must be like etcd://10\.0\.0\.7:2379,10\.0\.0\.8:2379") as caught:
        default_registry().store(url, 1.0)
    assert "secret" not in str(caught.value)
    assert default_registry().store("etcds://h,[::1]:7", 1.0).called == "etcds://h,[::1]:7"


@pytest.mark.more
@pytest.mark.needs("etcd")
def test_of_two_commands_with_an_etcd_one_takes_over(tmp_path: Path) -> None:
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://10.0.0.1/"\ncapacity = 2\n', encoding="utf-8")
    with etcd(tmp_path, free_port()) as claim:
        first = Command(config, ttl_s=3.0, claim=claim)
        second = Command(config, ttl_s=3.0, claim=claim)
        try:
            assert first.said.startswith("serving 2 slots")
            assert second.said.startswith("standing by at ")
            with Pool.connect(f"{first.url},127.0.0.1:{second.port}", within_s=PATIENCE_S) as pool:
                held = pool.acquire(PATIENCE_S)
                first.kill()
                pool.acquire(PATIENCE_S).release()
                held.release()
        finally:
            first.kill()
            second.kill()
