"""What retries of program runs cost: a budget that delays and never drops; health that is watched; and outages."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.endpoint import Endpoint
from balancer.errors import EndpointError
from balancer.judging.pending import RunnerHooks, RunnerOptions, RunStage, Span
from balancer.judging.runner import ProgramResult, ProgramRun, Runner, Stopped
from balancer.opening.pool import Pool
from balancer.program import Execution, Executor, Limits, Program
from balancer.sandbox.http.client import UnexpectedStatus
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.testing import ManualClock
from tests.unit.pipeline.fakes import DOWN, FakeExecutor, no_leases_out
from tests.unit.pipeline.programs import finished

DOUBLING = ProgramRun(Program("python", "double"), b"21", Limits(), "doubling", RunStage.AGREE, "accepted/double.py", 7)
GOOD = ProgramResult(finished(b"42\n"))


class Timed(Runner):
    """A runner whose pauses pass on the pool's manual clock only."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        retries: RetrySettings,
        *,
        attempts: int = 5,
        health: HealthSettings | None = None,
        acquire_timeout_s: float | None = None,
        outage_s: float = 0.0,
    ) -> None:
        self.now = ManualClock()
        self.slept: list[float] = []
        self.spans: list[Span] = []
        self.pool = Pool(
            map(Endpoint, executors),
            strategy="fifo",
            clock=self.now,
            retries=retries,
            health=health,
            acquire_timeout_s=acquire_timeout_s,
            seed=1,
        )
        super().__init__(
            self.pool,
            executors,
            RunnerOptions(attempts=attempts, quiet_label="quiet", outage_s=outage_s, clock=self.now),
            RunnerHooks(on_span=self.spans.append),
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now.advance(seconds)

    @property
    def urls(self) -> list[str]:
        return [span.endpoint for span in self.spans]


def test_an_empty_budget_delays_a_retry_and_drops_none():
    """One retry in 10 s; ten runs each need one."""
    runner = Timed(
        {"a": FakeExecutor(always=DOWN), "b": FakeExecutor()},
        RetrySettings(budget_ratio=0.0, budget_per_s=0.1, base_s=0.0),
    )
    began_s = runner.now()
    needed = 0
    for _ in range(10):
        before = len(runner.spans)
        assert runner.run(DOUBLING) == GOOD
        needed += len(runner.spans) - before - 1
    assert needed >= 5  # fifo takes them in turn
    assert 10.0 * (needed - 1) <= runner.now() - began_s <= 10.3 * (needed - 1)
    assert no_leases_out(runner.pool)


def test_a_budget_that_never_fills_costs_a_window_and_no_verdict():
    runner = Timed(
        {"a": FakeExecutor(script=[DOWN] * 3)}, RetrySettings(budget_ratio=0.0, budget_per_s=0.0, base_s=0.0)
    )
    assert runner.run(DOUBLING) == GOOD
    assert [pause for pause in runner.slept if pause] == [10.0] * 3


def test_a_try_that_found_no_endpoint_costs_no_retry():
    retries = RetrySettings(budget_ratio=0.0, budget_per_s=0.1, base_s=0.0)
    runner = Timed({"a": FakeExecutor()}, retries, attempts=3, acquire_timeout_s=0.0)
    with runner.pool.acquire():
        assert runner.run(DOUBLING).execution is None
    assert runner.pool.engine.budget.try_spend()


# -- an outage of all endpoints costs no verdict while it is short, and its patience once when it is not ------

OUTAGE_S = 60.0
FOREVER_S = 1e9
LONGEST_PAUSE_S = RetrySettings().max_pause_s


class Servers(Timed):
    """A runner whose servers are all down from `fall` on, as long as that says; what fails takes `fails_s`, in turn."""

    def __init__(self, number: int = 3, *, attempts: int = 5, fails_s: Sequence[float] = (0.0,)) -> None:
        self._up_s = 0.0
        self._fails_s = cycle(fails_s)
        self.meanwhile: Callable[[], None] = lambda: None
        self.error: EndpointError = DOWN
        executors = {f"e{n}": FakeExecutor(self._answer) for n in range(number)}
        super().__init__(executors, RetrySettings(), attempts=attempts, outage_s=OUTAGE_S)

    def fall(self, for_s: float) -> None:
        self._up_s = self.now() + for_s

    def _answer(self, program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        if self.now() < self._up_s:
            self.now.advance(next(self._fails_s))
            raise self.error
        return finished(b"42\n")

    def _sleep(self, seconds: float) -> None:
        super()._sleep(seconds)
        self.meanwhile()

    def succeed(self) -> None:
        """Have another program run that succeeds."""
        self._up_s, up_s = 0.0, self._up_s
        assert self.run(DOUBLING) == GOOD
        self._up_s = up_s

    def cost_s(self) -> float:
        """Return how long a run takes that must fail."""
        began_s = self.now()
        assert self.run(DOUBLING).execution is None
        return self.now() - began_s


@given(
    number=st.integers(1, 5),
    attempts=st.integers(1, 8),
    fails_s=st.lists(st.sampled_from([0.0, 0.1, 5.0, 30.0]), min_size=1, max_size=8),
    idle_s=st.floats(0, 500),
    for_s=st.floats(0, OUTAGE_S),
)
def test_no_outage_within_the_patience_costs_a_verdict(number, attempts, fails_s, idle_s, for_s):
    """However long a failing call takes, even one that begins during the outage and fails after it."""
    runner = Servers(number, attempts=attempts, fails_s=fails_s)
    for _ in range(3):
        assert runner.run(DOUBLING) == GOOD
        runner.now.advance(idle_s)
        runner.fall(for_s)
    assert runner.run(DOUBLING) == GOOD
    assert no_leases_out(runner.pool)


def test_a_permanent_outage_costs_the_patience_once():
    runner = Servers()
    runner.fall(FOREVER_S)
    assert OUTAGE_S <= runner.cost_s() <= OUTAGE_S + LONGEST_PAUSE_S
    for _ in range(10):
        before = len(runner.spans)
        assert runner.cost_s() <= 4 * LONGEST_PAUSE_S
        assert len(runner.spans) - before == 5


@pytest.mark.parametrize("left_s", [0.0, 7.0, 40.0])
def test_no_try_begins_when_no_time_is_left(left_s):
    runner = Timed({"a": FakeExecutor(always=EndpointError("down"))}, RetrySettings(), outage_s=1000.0)
    until_s = runner.now() + left_s
    ran = runner.within(lambda: until_s - runner.now()).run(DOUBLING)
    assert ran.execution is None
    assert runner.now() <= until_s
    assert bool(runner.spans) is (left_s > 0)
    assert "time" in ran.note or "deadline" in ran.note
    assert no_leases_out(runner.pool)


def test_a_success_begins_the_patience_anew():
    runner = Servers()
    runner.fall(FOREVER_S)
    runner.cost_s()
    runner.succeed()
    assert OUTAGE_S <= runner.cost_s() <= OUTAGE_S + LONGEST_PAUSE_S


def test_a_run_beyond_its_attempts_is_given_up_once_another_succeeds():
    runner = Servers(1)
    runner.fall(FOREVER_S)
    began_s = runner.now()

    def succeed_later() -> None:
        if runner.now() - began_s >= OUTAGE_S / 2:
            runner.succeed()

    runner.meanwhile = succeed_later
    assert OUTAGE_S / 2 <= runner.cost_s() <= OUTAGE_S / 2 + LONGEST_PAUSE_S


def test_a_success_while_the_servers_fall_one_by_one_costs_no_verdict():
    """A program that was under way when the first connection was refused ends well: the outage is not over by that."""
    runner = Servers()
    runner.fall(OUTAGE_S / 2)
    stragglers = iter([runner.succeed])
    runner.meanwhile = lambda: next(stragglers, lambda: None)()
    assert runner.run(DOUBLING) == GOOD
    assert len(runner.spans) > 5 + 1


def test_stop_ends_the_wait_for_the_budget():
    retries = RetrySettings(budget_ratio=0.0, budget_per_s=0.1, base_s=0.0)
    runner = Timed({"a": FakeExecutor(always=DOWN)}, retries)

    def stop_meanwhile(seconds: float) -> None:
        assert not runner.stopping, "it goes on waiting"
        if seconds:
            runner.stop()

    runner._sleep = stop_meanwhile
    with pytest.raises(Stopped):
        runner.run(DOUBLING)
    assert len(runner.spans) == 2  # the second try is there from the start


def test_stop_ends_the_wait_for_an_outage():
    runner = Servers()
    runner.fall(FOREVER_S)

    def stop() -> None:
        assert not runner.stopping, "it goes on"
        if len(runner.spans) >= 8:
            runner.stop()

    runner.meanwhile = stop
    with pytest.raises(Stopped):
        runner.run(DOUBLING)
    assert len(runner.spans) == 8


@pytest.mark.parametrize("status", [401, 403, 500])
def test_the_end_of_a_wrong_token_is_not_waited_for(status):
    runner = Servers(2, attempts=5)
    runner.error = UnexpectedStatus(f"answered {status}", endpoint="e", status=status, words="")
    runner.fall(FOREVER_S)
    assert (runner.cost_s() < OUTAGE_S / 2) is (status != 500)
    runner.succeed()  # and once it is right, all is as before
    runner.error = DOWN
    runner.fall(OUTAGE_S / 2)
    assert runner.run(DOUBLING) == GOOD
