"""An outage of all endpoints costs no verdict while it is short, and its patience once when it is not."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.judging.runner import ProgramResult, Stopped
from balancer.program import Execution, Program
from balancer.settings.rules import RetrySettings
from tests.unit.pipeline.fakes import DOWN, FakeExecutor, no_leases_out
from tests.unit.pipeline.programs import finished
from tests.unit.pipeline.test_runner_retries import DOUBLING, GOOD, Timed

OUTAGE_S = 60.0
FOREVER_S = 1e9
LONGEST_PAUSE_S = RetrySettings().max_pause_s


class Servers(Timed):
    """A runner whose servers are all down from `fall` on, as long as that says; what fails takes `fails_s`, in turn."""

    def __init__(self, number: int = 3, *, attempts: int = 5, fails_s: Sequence[float] = (0.0,)) -> None:
        self._up_s = 0.0
        self._fails_s = cycle(fails_s)
        self.meanwhile: Callable[[], None] = lambda: None
        executors = {f"e{n}": FakeExecutor(self._answer) for n in range(number)}
        super().__init__(executors, RetrySettings(), attempts=attempts, outage_s=OUTAGE_S)

    def fall(self, for_s: float) -> None:
        self._up_s = self.now() + for_s

    def _answer(self, program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        if self.now() < self._up_s:
            self.now.advance(next(self._fails_s))
            raise DOWN
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
def test_no_outage_within_the_patience_costs_a_verdict(
    number: int, attempts: int, fails_s: list[float], idle_s: float, for_s: float
) -> None:
    """However long a failing call takes, even one that begins during the outage and fails after it."""
    runner = Servers(number, attempts=attempts, fails_s=fails_s)
    for _ in range(3):
        assert runner.run(DOUBLING) == GOOD
        runner.now.advance(idle_s)
        runner.fall(for_s)
    assert runner.run(DOUBLING) == GOOD
    assert no_leases_out(runner.pool)


def test_without_patience_the_same_outage_costs_a_verdict() -> None:
    down = Timed({"a": FakeExecutor(always=DOWN)}, RetrySettings(), outage_s=0.0)
    assert down.run(DOUBLING) == ProgramResult(None, "after 5 of 5 tries: connection refused")


def test_a_permanent_outage_costs_the_patience_once() -> None:
    runner = Servers()
    runner.fall(FOREVER_S)
    assert OUTAGE_S <= runner.cost_s() <= OUTAGE_S + LONGEST_PAUSE_S
    for _ in range(10):
        before = len(runner.spans)
        assert runner.cost_s() <= 4 * LONGEST_PAUSE_S
        assert len(runner.spans) - before == 5


def test_a_success_begins_the_patience_anew() -> None:
    runner = Servers()
    runner.fall(FOREVER_S)
    runner.cost_s()
    runner.succeed()
    assert OUTAGE_S <= runner.cost_s() <= OUTAGE_S + LONGEST_PAUSE_S


def test_a_run_that_fails_while_others_succeed_is_given_up_after_its_attempts() -> None:
    runner = Servers(1)
    runner.fall(FOREVER_S)
    runner.meanwhile = runner.succeed
    assert runner.run(DOUBLING) == ProgramResult(None, "after 5 of 5 tries: connection refused")


def test_a_run_beyond_its_attempts_is_given_up_once_another_succeeds() -> None:
    runner = Servers(1)
    runner.fall(FOREVER_S)
    began_s = runner.now()

    def succeed_later() -> None:
        if runner.now() - began_s >= OUTAGE_S / 2:
            runner.succeed()

    runner.meanwhile = succeed_later
    assert OUTAGE_S / 2 <= runner.cost_s() <= OUTAGE_S / 2 + LONGEST_PAUSE_S


def test_a_success_while_the_servers_fall_one_by_one_costs_no_verdict() -> None:
    """A program that was under way when the first connection was refused ends well: the outage is not over by that."""
    runner = Servers()
    runner.fall(OUTAGE_S / 2)
    stragglers = iter([runner.succeed])
    runner.meanwhile = lambda: next(stragglers, lambda: None)()
    assert runner.run(DOUBLING) == GOOD
    assert len(runner.spans) > 5 + 1


def test_stop_ends_the_wait_for_an_outage() -> None:
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
