"""Processes that work off tasks: every answer comes once, mistakes arrive as they are, and a lost process is said."""

import os
import pickle
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

import pytest
from balancer_simulator import EndpointModel, Poisson, Scenario
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.studies import parallel
from balancer_simulator.studies.parallel import Order, WorkerProcesses, run_orders

from balancer.errors import BalancerError, ConfigError, StrategyError


def in_processes(tasks: Sequence[Any], do: Callable[[Any], Any], processes: int) -> list[tuple[int, Any]]:
    with closing(WorkerProcesses(do)) as workers:
        return list(workers.map(tasks, processes))


def process_of(number: int) -> int:
    return os.getpid()


def negative(number: int) -> int:
    return -number


def refuse(error: Exception) -> None:
    raise error


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def ctrl_c_is_blocked(number: int) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


class Peculiar(Exception):
    """An error that cannot be made again from its message."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} because of {why}")


def refuse_peculiarly(number: int) -> None:
    raise Peculiar("no", "principle")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("processes", [1, 2])
def test_every_task_has_its_answer(processes: int) -> None:
    assert dict(in_processes(range(7), negative, processes)) == {n: -n for n in range(7)}


@pytest.mark.more
def test_processes_are_kept_until_an_error_and_then_no_old_answer_is_taken_for_a_new_one() -> None:
    with closing(WorkerProcesses(process_of)) as workers:
        first = dict(workers.map([1, 2], 2))
        assert set(dict(workers.map(range(4), 2)).values()) <= set(first.values())
        left = workers.map([1, 2, 3], 2)
        next(left)
        left.close()
        assert set(dict(workers.map([1, 2], 2)).values()).isdisjoint(first.values())


def test_a_process_never_hears_ctrl_c_from_its_start_and_the_parent_does() -> None:
    assert dict(in_processes([1, 2], ctrl_c_is_blocked, 2)) == {0: True, 1: True}
    assert not ctrl_c_is_blocked(0)


def test_an_error_arrives_as_it_is_and_says_where_it_came_from() -> None:
    with pytest.raises(ConfigError, match="there is no such thing") as caught:
        in_processes([ConfigError("there is no such thing")], refuse, 1)
    assert "in refuse" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_sent_is_told_in_words() -> None:
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(StrategyError("fifo", "is odd")))  # there are such errors among ours
    with pytest.raises(BalancerError, match="Peculiar: no because of principle"):
        in_processes([1], refuse_peculiarly, 1)


def test_a_process_that_is_killed_is_one_line() -> None:
    with pytest.raises(BalancerError, match="a process ended before its run did") as caught:
        in_processes([1, 2, 3], die, 2)
    assert "\n" not in str(caught.value)


def test_more_processes_than_can_be_used_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Here(WorkerProcesses):
        def map(self, tasks: Sequence[Any], processes: int) -> Generator[tuple[int, Any], None, None]:
            asked.append(processes)
            yield from enumerate(map(self._do, tasks))

    monkeypatch.setattr(parallel, "WorkerProcesses", Here)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    scenario = Scenario(workload=Poisson(rate_per_s=1.0), endpoints=[EndpointModel(url="http://a/")], horizon_s=2.0)
    orders = [Order(scenario, Policy(strategy="fifo"), number) for number in range(20)]
    for jobs in (3, 100_000):
        assert len(run_orders(orders, jobs=jobs, registry=None, advance=lambda: None)) == 20
    run_orders(orders[:5], jobs=100_000, registry=None, advance=lambda: None)
    assert asked == [3, 8, 5]
