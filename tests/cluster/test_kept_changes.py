"""Changes of the admin API that the next server knows: what is kept, how little, and what is made of it."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from balancer import BalancerError, Endpoint, Pool
from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.protocol.claim import dump_record, parse_record
from balancer.commands.kept_changes import KeptChanges
from balancer.plugins.registry import default_registry
from tests.cluster.test_standby import asked, free_port, valkey
from tests.patience import PATIENCE_S

_TOKEN = "a-token-of-sixteen"
_NEW = Endpoint("http://new/", capacity=3, weight=2.0, labels=frozenset({"b", "a"}))


class _Kept:
    """The changes of one server, and what is stored of them."""

    def __init__(self, last: CoordinatorRecord | None = None) -> None:
        self.texts: list[str] = []
        self.said: list[str] = []
        self.trouble: OSError | None = None
        self.changes = KeptChanges(self.keep, last, self.said.append)
        self.changes.keep(CoordinatorRecord(1, 2.0, frozenset()))

    def keep(self, record: CoordinatorRecord) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.texts.append(dump_record(record))

    def next(self, *endpoints: Endpoint | str, **rules: Any) -> "tuple[Pool, list[str]]":
        """Return the pool of the next server, and what it says."""
        last = parse_record(self.texts[-1])
        pool = Pool([*endpoints] or ["http://a/", "http://b/"], **rules)
        return pool, KeptChanges(self.keep, last, print).apply(pool.engine.core, default_registry(), random.Random(0))


def test_the_next_server_has_what_was_added_changed_drained_and_removed() -> None:
    kept = _Kept()
    kept.changes.added(_NEW, restored=False)
    kept.changes.updated("http://new/", {"capacity": 5, "labels": frozenset({"z"})})
    kept.changes.updated("http://a/", {"capacity": 7, "weight": 0.5})
    kept.changes.updated("http://a/", {"weight": 4.0})
    kept.changes.drained("http://b/")
    kept.changes.removed("http://c/")
    kept.changes.set_strategy("fifo", {})
    pool, told = kept.next("http://a/", "http://b/", "http://c/")
    with pool:
        found = {each.name: each for each in pool.stats().endpoints}
        assert {name: each.state for name, each in found.items()} == {
            "http://a/": "active",
            "http://b/": "draining",
            "http://new/": "active",
        }
        assert (found["http://a/"].capacity, found["http://a/"].weight) == (7, 4.0)
        new = next(each for each in pool.endpoints() if each.name == "http://new/")
        assert (new.capacity, new.labels) == (5, frozenset({"z"}))
        assert pool.stats().strategy == "fifo"
    assert told == ["as the admin API of the last server has changed it: 4 endpoints and the strategy"]


def test_what_is_kept_is_the_result_and_stays_small() -> None:
    kept = _Kept()
    for _ in range(100):
        kept.changes.drained("http://a/")
        kept.changes.added(Endpoint("http://a/"), restored=True)
        kept.changes.updated("http://b/", {"capacity": 2})
    assert json.loads(kept.texts[-1])["changes"] == ['{"endpoint": "http://b/", "update": {"capacity": 2}}']
    new = KeptChanges(kept.keep, None, print)
    for number in range(1100):  # stored once there is a record
        new.removed(f"http://{number}/")
    new.keep(CoordinatorRecord(1, 2.0, None))
    assert len(json.loads(kept.texts[-1])["changes"]) == 1000


def test_they_outlive_a_second_change_of_servers_and_stay_with_each_new_record() -> None:
    first = _Kept()
    first.changes.drained("http://b/")
    second = _Kept(parse_record(first.texts[-1]))
    second.changes.keep(CoordinatorRecord(2, 2.0, None))
    pool, _ = second.next()
    with pool:
        assert [each.state for each in pool.stats().endpoints] == ["active", "draining"]


def test_headers_are_not_kept_and_that_is_told() -> None:
    kept = _Kept()
    kept.changes.added(Endpoint("http://new/", headers={"Authorization": "Bearer secret"}), restored=False)
    assert "secret" not in kept.texts[-1]
    assert kept.said == [
        "http://new/ has headers, which may be secret, so the next server will not know of it; put it into the config"
    ]


def test_what_the_next_server_cannot_do_is_told_and_the_rest_is_done() -> None:
    kept = _Kept()
    kept.changes.added(Endpoint("http://new/", quota="gone"), restored=False)
    kept.changes.updated("http://c/", {"capacity": 2})  # a config that does not have it any more
    kept.changes.drained("http://b/")
    kept.changes.set_strategy("no such", {})
    pool, told = kept.next()
    with pool:
        assert [each.state for each in pool.stats().endpoints] == ["active", "draining"]
    assert re.match(r"a change of the endpoint http://new/ by the admin API cannot be made again: .*'gone'", told[0])
    assert re.match(r"a change of the strategy by the admin API cannot be made again: .*no such", told[1])


def test_a_change_that_cannot_be_stored_is_told_and_stored_with_the_next_record() -> None:
    kept = _Kept()
    kept.trouble = OSError("no answer")
    with pytest.raises(BalancerError, match="it is done, but the next server would not know of it: no answer"):
        kept.changes.drained("http://b/")
    kept.trouble = None
    kept.changes.keep(CoordinatorRecord(1, 2.0, None))
    pool, _ = kept.next()
    with pool:
        assert [each.state for each in pool.stats().endpoints] == ["active", "draining"]


def test_a_record_of_an_earlier_version_has_none() -> None:
    last = parse_record('{"epoch": 3, "ttl_s": 2.0, "holders": null, "count": 1}')
    assert last == CoordinatorRecord(3, 2.0, None)
    assert "changes" not in dump_record(last)


# -- the command -----------------------------------------------------------------------------------


class _Server:
    """A `balancer serve` with a page."""

    def __init__(self, config: Path, *options: str) -> None:
        command = [sys.executable, "-m", "balancer", "serve", str(config), "--ttl", "3", "--port", "0", *options]
        self.process = subprocess.Popen(
            [*command, "--page", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "BALANCER_PAGE_TOKEN": _TOKEN},
        )

    def line(self, start: str) -> str:
        """Return the next line of output that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line
        raise AssertionError(f"it ended without {start!r}")

    @property
    def page(self) -> str:
        return self.line("page at ").split()[-1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


def _ask(page: str, action: str, asked: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{page}admin/{action}",
        data=json.dumps(asked).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {_TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 200


def _endpoints(page: str) -> dict[str, tuple[str, int]]:
    with urllib.request.urlopen(f"{page}state", timeout=PATIENCE_S) as answer:
        rows = json.loads(answer.read())["endpoints"]
    return {row["name"]: (row["state"], row["capacity"]) for row in rows}


@pytest.mark.more
@pytest.mark.parametrize("kept_in", ["a file", pytest.param("a valkey", marks=pytest.mark.needs("valkey-server"))])
def test_a_server_that_takes_over_or_is_restarted_has_them(tmp_path: Path, kept_in: str) -> None:
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://10.0.0.{1..3}/"\n', encoding="utf-8")
    with valkey(tmp_path, port := free_port()):
        options = ("--claim", f"valkey://127.0.0.1:{port}") if kept_in == "a valkey" else ()
        first, standing = _Server(config, *options), ""
        try:
            page = first.page
            _ask(page, "add", {"url": "http://10.0.0.9/", "capacity": 4})
            _ask(page, "drain", {"endpoint": "http://10.0.0.2/"})
            _ask(page, "remove", {"endpoint": "http://10.0.0.3/"})
            _ask(page, "update", {"endpoint": "http://10.0.0.1/", "capacity": 6})
            before = _endpoints(page)
            if options:
                second = _Server(config, *options)
                second.line("standing by")
                standing = second.page
                assert asked(f"{standing}readyz")[0] == 503
                first.process.send_signal(signal.SIGKILL)
            else:
                first.end()
                second = _Server(config)
            try:
                second.line("as the admin API of the last server has changed it: 4 endpoints")
                page = second.page
                assert page == standing or not options
                assert _endpoints(page) == before
                assert before["http://10.0.0.2/"] == ("draining", 1)
                assert before.keys() == {"http://10.0.0.1/", "http://10.0.0.2/", "http://10.0.0.9/"}
            finally:
                second.end()
        finally:
            first.end()
