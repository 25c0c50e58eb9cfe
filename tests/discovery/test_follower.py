"""A pool follows a source: what it says of trouble, for threads and tasks, in a config, over `balancer serve`."""

import json
import logging
import re
import threading
from contextlib import contextmanager

import pytest

from balancer import AsyncPool, ConfigError, Endpoint, NoEndpoint, Pool, PoolClosed, load_config
from balancer.discovery.follower import Discovery
from balancer.discovery.reconcile import LeavingRules
from balancer.hookspecs import EndpointTemplate, Source, SourceAnswer, SourceError
from balancer.testing.clock import ManualClock
from balancer.values.options import StrategyOptions
from tests.cluster.serving import Command
from tests.patience import PATIENCE_S
from tests.tasks.libraries import BOTH
from tests.threads.crew import until


class Scripted(Source):
    """Says what a test has put into `news`; before that it waits."""

    name = "scripted"
    Options = StrategyOptions

    def __init__(self, options=None, template=EndpointTemplate()):  # noqa: B008
        super().__init__(options, template)
        self.news = []
        self._told = threading.Condition()
        self._closed = False

    def say(self, what):
        with self._told:
            self.news.append(what)
            self._told.notify_all()

    def look(self):
        with self._told:
            self._told.wait_for(lambda: self.news or self._closed)
            if self._closed:
                return None
            said = self.news.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def close(self):
        with self._told:
            self._closed = True
            self._told.notify_all()


def listed(*urls, gone=""):
    return SourceAnswer(tuple(map(Endpoint, urls)), frozenset(filter(None, [gone])))


class Told:
    """A pool and a discovery without threads, in the time of a clock that the test sets."""

    def __init__(self, *endpoints, grace_s=10.0):
        self.clock = ManualClock()
        self.pool = Pool(endpoints, clock=self.clock)
        self.discovery = Discovery(
            "s", Scripted(), LeavingRules(grace_s), self.pool.engine.change_endpoints, self.clock
        )

    @property
    def states(self):
        return {each.name: each.state for each in self.pool.stats().endpoints}

    def wait(self, for_s):
        self.clock.advance(for_s)
        self.discovery.look_at_the_clock()


def test_what_vanishes_leaves_after_its_grace_when_its_leases_have_ended():
    told = Told()
    told.discovery.heard(listed("a", "b"))
    lease = told.pool.acquire(timeout=0, exclude={"a"})
    told.discovery.heard(listed("a"))
    told.wait(9.0)
    assert told.states == {"a": "active", "b": "active"}
    told.wait(1.0)
    assert told.states == {"a": "active", "b": "retiring"}
    lease.release()
    assert told.states == {"a": "active"}


def test_what_comes_while_others_serve_has_a_slow_start():
    told = Told()
    told.discovery.heard(listed("a"))
    told.discovery.heard(listed("a", "b"))
    assert [each.health for each in told.pool.stats().endpoints] == ["healthy", "slow_start"]
    told.clock.advance(10.0)
    assert [each.health for each in told.pool.stats().endpoints] == ["healthy", "healthy"]


def test_trouble_is_logged_once_and_shown_and_nothing_leaves_while_it_lasts(
    caplog,
):
    caplog.set_level(logging.INFO, "balancer")
    told = Told()
    told.discovery.heard(listed("a", "b"))
    told.discovery.heard(listed("a"))
    for _ in range(3):
        told.discovery.failed(SourceError("no answer"))
        told.wait(20.0)
        told.discovery.heard(SourceAnswer(()))
        told.wait(20.0)
    assert told.states == {"a": "active", "b": "active"}
    stats = told.discovery.stats()
    assert (stats.endpoints, stats.missing, stats.failures, stats.trouble) == (2, 1, 3, "it lists no endpoint")
    assert stats.age_s == 120.0
    told.discovery.heard(listed("a", "b"))
    assert told.discovery.stats().trouble == ""
    assert [each.getMessage() for each in caplog.records] == [
        "discovery s: 2 new (a, b)",
        "discovery s: no answer; its 2 endpoints stay as they are",
        "discovery s: answers again",
    ]


def test_an_answer_that_the_pool_cannot_use_is_trouble(caplog):
    told = Told()
    told.discovery.heard(listed("a"))
    with pytest.raises(ValueError, match="quota"):
        told.discovery.heard(SourceAnswer((Endpoint("a"), Endpoint("b", quota="q"))))
    assert told.states == {"a": "active"}
    with pytest.raises(SourceError, match="it lists 10001 endpoints; at most 10000 are believed"):
        told.discovery.heard(listed(*map(str, range(10_001))))


@pytest.mark.parametrize("url", ["local://1", "LOCAL://1", "file:///etc/passwd"])
def test_what_is_on_this_machine_cannot_be_discovered(url):
    told = Told()
    with pytest.raises(SourceError, match=f"it lists {url}, which is no server; only a config may list"):
        told.discovery.heard(listed("http://a/", url))
    assert told.states == {}


def test_other_endpoints_of_the_pool_are_left_alone():
    told = Told("mine")
    assert not told.discovery.wait(0.0)
    told.discovery.heard(SourceAnswer(()))
    assert not told.discovery.wait(0.0), "an empty answer is none"
    told.discovery.heard(listed("mine"))
    assert told.discovery.wait(0.0), "it was believed, though it brought nothing"
    told.discovery.heard(listed("a", "mine"))
    told.discovery.heard(listed("a"))
    told.wait(100.0)
    assert told.states == {"mine": "active", "a": "active"}


def test_the_error_of_a_source_that_is_not_ours_is_not_quoted():
    told = Told()
    told.discovery.failed(RuntimeError("c4n4ry"))
    assert told.discovery.stats().trouble == "it raised RuntimeError"
    told.discovery.failed(ConnectionRefusedError(111, "Connection refused"))
    assert told.discovery.stats().trouble == "ConnectionRefusedError: Connection refused"


# -- with threads -------------------------------------------------------------------------------------


def test_a_pool_waits_for_the_first_answer_and_follows_until_it_is_closed(
    still_running,
):
    made = []

    class Mine(Scripted):
        name = "mine"

        def __init__(self, options, template):
            super().__init__(options, template)
            made.append(self)
            self.say(SourceError("not yet"))
            self.say(listed("a"))

    with Pool() as pool:
        discovery = pool.discover(Mine, name="pods", wait_s=PATIENCE_S)
        assert [each.url for each in pool.endpoints()] == ["a"]
        assert repr(discovery) == "<Discovery pods: 1 endpoints>"
        (source,) = pool.stats().sources
        assert (source.name, source.kind, source.failures) == ("pods", "mine", 1)
        made[0].say(listed("a", "b"))
        until(lambda: len(pool.endpoints()) == 2)
    assert not still_running("discovery pods")
    with pytest.raises(PoolClosed):
        pool.discover(Mine)


@BOTH
def test_tasks_go_on_while_the_first_answer_is_waited_for(library, tmp_path):
    file = tmp_path / "a.json"

    async def main():
        async with AsyncPool() as pool:

            async def write():
                while not pool.stats().sources:
                    await library.sleep(0)
                file.write_text('["http://a"]')

            async with library.tasks() as start:
                start(write)
                await pool.discover("file", {"path": str(file), "every_s": 0.01}, wait_s=PATIENCE_S, capacity=3)
            async with pool.lease(timeout=0) as lease:
                return lease.endpoint.url, lease.endpoint.capacity

    assert library.run(main) == ("http://a", 3)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"source": "dns"}, "option host: is missing"),
        ({"source": "nomad"}, "unknown source 'nomad'"),
        ({"source": "file", "options": {"path": "x"}, "grace_s": -1}, "grace_s"),
        ({"source": "file", "options": {"path": "x"}, "grace": 1}, "did you mean 'grace_s'"),
    ],
)
def test_a_mistake_is_an_error_and_no_thread_stays(settings, error, still_running):
    with Pool() as pool, pytest.raises((ConfigError, ValueError), match=re.escape(error)):
        pool.discover(**settings)
    assert not still_running("discovery ")


# -- a config -----------------------------------------------------------------------------------------

CONFIG = """
[discovery.pods]
source = "file"
options = {{ path = "{path}", every_s = 0.02 }}
grace_s = 0.05
wait_s = 60.0
capacity = 2
headers = {{ Authorization = "Bearer ${{TOKEN}}" }}
"""


def _config(folder, urls, more=""):
    (folder / "servers.json").write_text(json.dumps(urls))
    config = folder / "pool.toml"
    config.write_text(CONFIG.format(path=folder / "servers.json") + more)
    return config


def test_a_config_may_have_sources_and_no_endpoints(tmp_path):
    config = load_config(_config(tmp_path, ["http://a"]), environ={"TOKEN": "c4n4ry-1"})
    assert config.endpoints == []
    with Pool.from_config(config) as pool, pool.lease(timeout=0) as lease:
        assert dict(lease.endpoint.headers) == {"Authorization": "Bearer c4n4ry-1"}
        assert lease.endpoint.capacity == 2
    with Pool.from_config(config, discover=False) as pool, pytest.raises(NoEndpoint):
        pool.acquire(timeout=0)
    for text in (repr(config), repr(config.discovery)):
        assert "c4n4ry" not in text


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("[discovery.x]\nsource = 'file'\nquota = 'q'", "discovery.x.quota: it is not in [quotas]"),
        ("[discovery.x]\n", "discovery.x.source: is missing"),
        ("[pool]\nconnect = 'balancer://h:1'", "that server decides [discovery]"),
        ("[discovery.x]\nsource = 'file'\ngrace_s = -1.0", "discovery.x.grace_s: found -1.0"),
    ],
)
def test_a_mistake_in_a_config_is_a_line(more, line, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(line)):
        load_config(_config(tmp_path, [], more), environ={"TOKEN": "t"})


@contextmanager
def closing_command(serving):
    try:
        yield
    finally:
        serving.kill()


@pytest.mark.more  # a server grants nothing for a TTL, which must be longer than a start
def test_a_server_that_comes_back_knows_the_endpoints_before_its_members_report(tmp_path, monkeypatch):
    config = _config(tmp_path, ["http://a"])
    monkeypatch.setenv("TOKEN", "c4n4ry-1")
    serving = Command(config, ttl_s=20.0)
    with closing_command(serving), Pool.connect(serving.url, within_s=PATIENCE_S) as pool:
        lease = pool.acquire(timeout=PATIENCE_S)
        epoch = pool.served.epoch
        serving.kill()
        with closing_command(Command(config, ttl_s=20.0, port=serving.port)):
            until(lambda: pool.connected and pool.served.epoch > epoch)
            assert not lease.ended
            lease.release()
            assert pool.call(lambda again: again.endpoint.url) == "http://a"
