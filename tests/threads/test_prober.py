"""Active probes: everybody is pinged, whoever hangs holds up nobody, and nothing goes on after the end."""

import threading
from collections import defaultdict
from collections.abc import Callable

import pytest

from balancer import Endpoint, EndpointError, Pool
from balancer.program import Execution, Program, Status
from balancer.sandbox.probes import pings_of
from balancer.settings.rules import HealthSettings
from balancer.shells.prober import Prober
from tests.patience import PATIENCE_S
from tests.threads.crew import until
from tests.unit.pipeline.fakes import FakeExecutor

_SOON_S = 0.001


class Ear:
    """Stands for a pool: remembers what it is told."""

    def __init__(self) -> None:
        self.heard: defaultdict[str, list[bool]] = defaultdict(list)

    def pinged(self, url: str, ok: bool, *, conclusive: bool = False) -> None:
        self.heard[url].append(ok)


def fail(error: Exception) -> Callable[[], None]:
    def ping() -> None:
        raise error

    return ping


def test_everybody_is_pinged_again_and_again_and_the_pool_hears_how_it_went():
    ear = Ear()
    pings = {"a": lambda: None, "b": fail(EndpointError("down")), "c": fail(ZeroDivisionError("plugin"))}
    with Prober(ear, pings, every_s=_SOON_S):
        until(lambda: all(len(ear.heard[url]) >= 3 for url in "abc"))
    assert {url: set(heard) for url, heard in ear.heard.items()} == {"a": {True}, "b": {False}, "c": {False}}


def test_one_that_hangs_holds_up_neither_the_others_nor_the_end_and_says_nothing_after_it(monkeypatch, still_running):
    monkeypatch.setattr("balancer.shells.prober._PATIENCE_S", 0.01)
    ear, hangs, let_go = Ear(), threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        let_go.wait(PATIENCE_S)

    prober = Prober(ear, {"a": hang, "b": lambda: None, "c": hang}, every_s=_SOON_S)
    prober.start()
    assert hangs.wait(PATIENCE_S)
    until(lambda: len(ear.heard["b"]) >= 5)
    prober.stop()
    assert "ping a" in still_running("ping ")
    let_go.set()
    until(lambda: not still_running("ping "))
    assert ear.heard["a"] == ear.heard["c"] == []


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan")])
def test_an_interval_out_of_range_is_refused(every_s):
    with pytest.raises(ValueError, match="every_s"):
        Prober(Ear(), {}, every_s=every_s)


def test_failed_pings_eject_and_one_that_has_gone_is_no_error():
    pool = Pool([Endpoint("a"), Endpoint("b")], health=HealthSettings(consecutive_failures=3, cooldown_s=100.0))
    with Prober(pool, {"a": fail(EndpointError("down")), "b": lambda: None, "gone": lambda: None}, every_s=_SOON_S):
        until(lambda: pool.stats().endpoints[0].health == "ejected")
    assert [endpoint.leases for endpoint in pool.stats().endpoints] == [0, 0]
    assert {pool.acquire(0).endpoint.url} == {"b"}


# -- what a ping is ------------------------------------------------------------------------------------


def test_a_ping_is_the_executor_s_own():
    executor = FakeExecutor()
    pings_of({"a": executor}, "ping")["a"]()
    assert executor.calls == []


@pytest.mark.parametrize("language", ["python", "cpp"])
def test_a_program_is_run_in_a_language_that_the_executor_knows(language):
    def computes(program: Program, stdin: bytes, *_: object) -> Execution:
        return Execution(Status.FINISHED, b"%d\n" % (int(stdin) * 48271 % (2**31 - 1)), exit_code=0)

    executor = FakeExecutor(computes, languages=[language])
    pings_of({"a": executor}, "program")["a"]()
    assert [program.language for program in executor.calls] == [language]


@pytest.mark.parametrize(
    "done",
    [
        Execution(Status.FINISHED, b"", exit_code=0),
        Execution(Status.FINISHED, b"pong\n", exit_code=1),
        Execution(Status.TIME_LIMIT),
        EndpointError("down"),
    ],
)
def test_a_program_that_does_not_do_its_part_is_a_failed_ping(done):
    ping = pings_of({"a": FakeExecutor(always=done)}, "program")["a"]
    with pytest.raises(EndpointError):
        ping()
