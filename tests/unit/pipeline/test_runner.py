"""Where a program run goes, how often it is tried, and that every try is one lease that ends."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint, Lease
from balancer.errors import CannotTell, EndpointError, EndpointOverloaded
from balancer.judging.pending import RunnerHooks, RunnerOptions, RunStage, Span
from balancer.judging.runner import ProgramResult, ProgramRun, Runner, Stopped
from balancer.opening.pool import Pool
from balancer.program import Execution, Limits, Program, Status
from balancer.testing import ManualClock
from tests.patience import PATIENCE_S
from tests.unit.pipeline.fakes import BUSY, DOWN, SUSPECT, FakeExecutor, hasty, no_leases_out
from tests.unit.pipeline.programs import finished

DOUBLING = ProgramRun(Program("python", "double"), b"21", Limits(), "doubling", RunStage.AGREE, "accepted/double.py", 7)
GOOD = finished(b"42\n")


def urls(spans: list[Span]) -> list[str]:
    return [span.endpoint for span in spans]


def outcomes(spans: list[Span]) -> list[str]:
    return [span.outcome for span in spans]


# -- tries ---------------------------------------------------------------------------------------------


def test_a_run_is_one_lease_and_one_span():
    runner, pool, spans = hasty({"a": FakeExecutor()})
    assert runner.run(DOUBLING) == ProgramResult(GOOD)
    (span,) = spans
    assert (span.problem, span.stage, span.subject, span.case) == ("doubling", RunStage.AGREE, DOUBLING.subject, 7)
    assert span.outcome == "success"
    assert pool.stats().acquired == 1


def test_a_run_whose_lease_was_lost_meanwhile_is_made_again():
    """Others may have had the slot as well, as when the server of a pool was away for too long."""
    lost: list[int] = []

    def answer(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        if not lost:
            lost.append(pool.leases()[0].id)
            pool.release_by_id(lost[0])
        return finished(b"42\n")

    runner, pool, spans = hasty({"a": FakeExecutor(answer), "b": FakeExecutor(answer)})
    ran = runner.run(DOUBLING)
    assert ran.execution == GOOD
    assert len(spans) == 2
    assert no_leases_out(pool)


@pytest.mark.parametrize(
    ("failure", "outcome"), [(DOWN, "failure"), (BUSY, "overload"), (ZeroDivisionError("plugin"), "failure")]
)
def test_what_fails_is_run_elsewhere_at_once(failure, outcome):
    runner, pool, spans = hasty({"a": FakeExecutor(always=failure), "b": FakeExecutor()})
    assert runner.run(DOUBLING).execution == GOOD
    assert urls(spans) == ["a", "b"]
    assert outcomes(spans) == [outcome, "success"]
    assert runner.waits_s == [0]
    stats = {endpoint.url: endpoint for endpoint in pool.stats().endpoints}
    assert (stats["a"].failures, stats["a"].overloads) == ((1, 0) if outcome == "failure" else (0, 1))


@pytest.mark.parametrize(
    "error", [CannotTell("its own limit is lower", endpoint="a"), ValueError("it takes no file of that name")]
)
def test_what_an_endpoint_cannot_tell_is_run_elsewhere_and_held_against_nobody(error):
    runner, pool, spans = hasty({"a": FakeExecutor(always=error), "b": FakeExecutor()})
    for _ in range(9):
        assert runner.run(DOUBLING).execution == GOOD
    assert {(span.endpoint, span.outcome) for span in spans} == {("a", "ignored"), ("b", "success")}
    assert all((each.failures, each.overloads, each.ejections) == (0, 0, 0) for each in pool.stats().endpoints)


def test_it_waits_for_a_busy_endpoint_rather_than_to_go_back_to_the_one_that_failed():
    gate = threading.Event()
    executors = {"a": FakeExecutor(), "b": FakeExecutor(script=[DOWN], gate=gate)}
    runner, pool, spans = hasty(executors)
    first = pool.acquire(exclude={"b"})
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(runner.run, DOUBLING)
        executors["b"].started.wait(PATIENCE_S)
        gate.set()  # b fails, is free and idle; a is out
        until(lambda: pool.stats().waiting == 1)
        assert len(executors["b"].calls) == 1
        first.release()
        assert run.result(PATIENCE_S).execution == GOOD
    assert urls(spans) == ["b", "a"]


@given(st.data())
def test_every_run_ends_and_never_goes_back_while_another_endpoint_can_serve(data):
    """Any script of failures on any pool, some of whose endpoints do not know the language."""
    names = [f"e{n}" for n in range(data.draw(st.integers(1, 4)))]
    able = set(data.draw(st.lists(st.sampled_from(names), unique=True)))
    step = st.sampled_from([DOWN, BUSY, OSError("broken pipe"), None])
    executors = {
        name: FakeExecutor(
            script=data.draw(st.lists(step, max_size=4)),
            always=data.draw(step),
            languages=["python"] if name in able else ["cobol"],
        )
        for name in names
    }
    attempts = data.draw(st.integers(1, 6))
    runner, pool, spans = hasty(executors, attempts=attempts)
    ran = runner.run(DOUBLING)
    most = max(attempts, len(able))

    assert set(urls(spans)) <= able
    assert len(spans) == pool.stats().acquired == sum(len(e.calls) for e in executors.values()) <= most
    assert all(before != after for before, after in pairwise(urls(spans))) or len(able) == 1
    assert len(set(urls(spans)[: len(able)])) == min(len(spans), len(able)), "each is tried once before any twice"
    assert outcomes(spans)[:-1].count("success") == 0
    if ran.execution is None:
        assert ran.note
        assert len(spans) == (most if able else 0)
    else:
        assert ran.execution == GOOD
        assert outcomes(spans)[-1] == "success"
    assert no_leases_out(pool)


# -- waits ---------------------------------------------------------------------------------------------


def test_a_single_endpoint_is_tried_again_with_growing_pauses():
    runner, _, spans = hasty({"a": FakeExecutor(script=[DOWN] * 9)}, attempts=10)
    assert runner.run(DOUBLING).execution == GOOD
    assert urls(spans) == ["a"] * 10
    bounds_s = [0.1 * 2**n for n in range(9)]
    assert all(0 <= wait_s <= min(2.0, bound_s) for wait_s, bound_s in zip(runner.waits_s, bounds_s, strict=True))
    assert sum(wait_s > 0 for wait_s in runner.waits_s) >= 8


# -- giving up -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "error", "attempts", "note", "outcome"),
    [
        ("ab", DOWN, 4, "after 4 of 4 tries: connection refused", "failure"),
        ("ab", CannotTell("its limit is lower"), 2, "after 2 of 2 tries: its limit is lower", "ignored"),
        ("a", KeyError("x"), 1, "after 1 of 1 tries: a: KeyError: 'x'", "failure"),
        ("a", EndpointError("gone", endpoint="a"), 1, "after 1 of 1 tries: a: gone", "failure"),
    ],
    ids=["down", "nobody can tell", "the plugin's own error and its endpoint", "an error of ours keeps its kind"],
)
def test_where_no_try_succeeds_it_is_unjudged_and_says_why(names, error, attempts, note, outcome):
    runner, pool, spans = hasty({name: FakeExecutor(always=error) for name in names}, attempts=attempts)
    assert runner.run(DOUBLING) == ProgramResult(None, note)
    assert outcomes(spans) == [outcome] * attempts
    assert no_leases_out(pool)


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"acquire_timeout_s": 0.01, "attempts": 3}, "no endpoint came free within 0.01 s"),
        ({"max_waiters": 0, "attempts": 2}, "max_waiters is 0"),
    ],
)
def test_where_no_endpoint_is_to_be_had_it_is_unjudged(settings, note):
    runner, pool, spans = hasty({"a": FakeExecutor()}, **settings)
    with pool.acquire():
        ran = runner.run(DOUBLING)
    assert ran.execution is None
    assert note in ran.note
    assert spans == []


# -- languages -----------------------------------------------------------------------------------------


def test_a_language_that_nobody_knows_is_unjudged_at_once():
    runner, pool, spans = hasty({"a": FakeExecutor(languages=["cpp"])})
    ran = runner.run(DOUBLING)
    assert (ran.execution, ran.note) == (None, "no endpoint runs 'python'; languages of the pool: cpp")
    assert spans == []
    assert no_leases_out(pool)


# -- suspect time limits -------------------------------------------------------------------------------


STARVED = Execution(Status.TIME_LIMIT, time_s=0.5, cpu_measured=True)  # it sleeps, or its endpoint starved it
WORDY = replace(STARVED, stdout=b"4")
AT_LIMIT = Execution(Status.TIME_LIMIT, time_s=Limits().cpu_s, cpu_measured=True)
AT_WALL = Execution(Status.TIME_LIMIT, stdout=b"4", time_s=1.0)
WELL = Execution(Status.FINISHED, exit_code=0, time_s=0.1, cpu_measured=True)
REFUSED = Execution(Status.COMPILE_ERROR)

# One row: what comes of each endpoint (None: the right answer), which one is quiet, where it is run, and what counts.
LOOKS: dict[str, tuple[dict[str, Execution | None], str, str, Execution]] = {
    "again on the quiet one": ({"a": SUSPECT, "b": None, "c": None}, "b", "ab", GOOD),
    "wherever that is": ({"a": SUSPECT, "b": None, "c": None}, "c", "ac", GOOD),
    "without a quiet one on another": ({"a": SUSPECT, "b": None}, "", "ab", GOOD),
    "the only quiet one was suspect itself": ({"a": SUSPECT, "b": None}, "a", "ab", GOOD),
    "a single endpoint confirms it": ({"a": SUSPECT}, "", "aa", SUSPECT),
    "CPU time to spare": ({"a": STARVED, "b": None}, "", "ab", GOOD),
    "CPU time to spare, and printed": ({"a": WORDY, "b": None}, "", "ab", GOOD),
    "a sleeper": ({"a": STARVED, "b": STARVED}, "", "ab", STARVED),
    "a sleeper that has printed": ({"a": WORDY, "b": WORDY}, "", "ab", WORDY),
    "CPU time ran out": ({"a": AT_LIMIT, "b": None}, "b", "a", AT_LIMIT),
    "wrong output": ({"a": AT_WALL, "b": None}, "b", "a", AT_WALL),
    "no time limit": ({"a": WELL, "b": None}, "b", "a", WELL),
    "a compile error": ({"a": REFUSED, "b": None}, "b", "a", REFUSED),
}


@pytest.mark.parametrize(("ends", "quiet", "at", "counts"), LOOKS.values(), ids=LOOKS)
def test_a_suspect_time_limit_is_looked_at_twice_and_nothing_else_is(ends, quiet, at, counts):
    executors = {name: FakeExecutor(always=end) for name, end in ends.items()}
    runner, _, spans = hasty(executors, labels={quiet: "quiet"})
    assert runner.run(DOUBLING).execution == counts
    assert "".join(urls(spans)) == at


def test_it_does_not_count_when_the_second_look_fails():
    executors = {"a": FakeExecutor(script=[SUSPECT], always=DOWN), "b": FakeExecutor(always=DOWN)}
    runner, _, spans = hasty(executors, labels={"b": "quiet"}, attempts=1)
    assert runner.run(DOUBLING).execution is None
    assert urls(spans) == ["a", "b", "a"]


# -- stopping ------------------------------------------------------------------------------------------


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.001)


@contextmanager
def running(runner: Runner, runs: int) -> Iterator[list[Future[ProgramResult]]]:
    with ThreadPoolExecutor(runs) as threads:
        yield [threads.submit(runner.run, DOUBLING) for _ in range(runs)]


def test_stop_lets_programs_end_and_the_waiting_go():
    gate = threading.Event()
    runner, pool, spans = hasty({"a": FakeExecutor(gate=gate)})
    with running(runner, 4) as runs:
        until(lambda: pool.stats().waiting == 3)
        assert not runner.stopping
        runner.stop()
        until(lambda: sum(run.done() for run in runs) == 3)
        gate.set()
    assert runner.stopping
    assert sorted(type(run.exception()).__name__ for run in runs) == ["NoneType", "Stopped", "Stopped", "Stopped"]
    assert outcomes(spans) == ["success"]
    assert no_leases_out(pool)


def test_stop_ends_a_pause():
    asks = EndpointOverloaded("later", retry_after_s=50.0)
    runner, pool, _ = hasty({"a": FakeExecutor(always=asks)}, patient=True)
    with running(runner, 1) as (run,):
        until(lambda: pool.stats().acquired == 1 and no_leases_out(pool))
        runner.stop()
        with pytest.raises(Stopped):
            run.result(30)  # of 50


def test_nothing_starts_after_stop():
    executor = FakeExecutor()
    runner, pool, _ = hasty({"a": executor})
    runner.stop()
    runner.stop()
    with pytest.raises(Stopped):
        runner.run(DOUBLING)
    assert executor.calls == []
    assert pool.stats().acquired == 0


def test_stop_between_the_two_looks_at_a_time_limit_leaves_no_verdict():
    gate = threading.Event()
    executors = {"a": FakeExecutor(always=SUSPECT), "b": FakeExecutor(always=SUSPECT, gate=gate)}
    runner, pool, _ = hasty(executors)
    with pool.acquire(exclude={"a"}), running(runner, 1) as (run,):
        until(lambda: pool.stats().waiting == 1)  # for b: the second look
        runner.stop()
        with pytest.raises(Stopped):
            run.result(PATIENCE_S)


# -- spans ---------------------------------------------------------------------------------------------


def test_a_span_ends_before_its_slot_is_handed_on(monkeypatch):
    """Time goes by in the program, and then when the lease is given back."""
    clock, leave = ManualClock(), Lease.__exit__

    def give_back(*how: Any) -> None:
        clock.advance(1000)
        leave(*how)

    def program(*_: object) -> Execution:
        clock.advance(2)
        return finished()

    spans: list[Span] = []
    options, hooks = RunnerOptions(attempts=1, quiet_label="", clock=clock), RunnerHooks(on_span=spans.append)
    monkeypatch.setattr(Lease, "__exit__", give_back)
    Runner(Pool([Endpoint("a")]), {"a": FakeExecutor(program)}, options, hooks).run(DOUBLING)
    assert [span.ended_s - span.started_s for span in spans] == [2]
    assert clock() == 2002, "it was slow"


def test_the_span_is_reported_after_the_lease_has_ended():
    runner, pool, _ = hasty({"a": FakeExecutor(script=[DOWN])})
    seen: list[bool] = []
    runner.attempts.hooks.on_span = lambda span: seen.append(no_leases_out(pool))
    runner.run(DOUBLING)
    assert seen == [True, True]
