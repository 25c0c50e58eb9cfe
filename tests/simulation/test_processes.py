"""Runs in several processes: every order has its record, mistakes arrive as they are, and a lost process is said."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from balancer_simulator import EndpointModel, Poisson, Policy, Scenario
from balancer_simulator.studies.parallel import Order, Simulators

from balancer.errors import BalancerError, ConfigError, StrategyError

_SCENARIO = Scenario(workload=Poisson(rate_per_s=1.0), endpoints=[EndpointModel(url="http://a/")], horizon_s=2.0)


def order(number: int) -> Order:
    return Order(_SCENARIO, Policy(strategy="fifo"), number)


@dataclass(frozen=True)
class Odd:
    """An order that does something else in its process."""

    act: Callable[[], object]
    replication: int = 0

    @property
    def scenario(self) -> Any:
        return self.act()


def refuse() -> None:
    raise ConfigError("there is no such thing")


class Peculiar(Exception):
    """An error that cannot be made again from its message."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} because of {why}")


def refuse_peculiarly() -> None:
    raise Peculiar("no", "principle")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_processes(*orders: Any) -> list[Any]:
    with Simulators(2) as simulators:
        return simulators.records(orders)


def test_every_order_has_its_record_and_processes_stay_and_end_with_the_block(
    monkeypatch,
):
    monkeypatch.setattr(os, "cpu_count", lambda: 0)  # unknown: four processes at most
    orders = [order(number) for number in range(5)]
    with Simulators(1) as alone:
        wanted = [record.metrics for record in alone.records(orders)]
    done: list[None] = []
    with Simulators(100_000) as simulators:
        assert [each.metrics for each in simulators.records(orders, lambda: done.append(None))] == wanted
        started = set(multiprocessing.active_children())
        assert len(started) <= 4
        assert [each.metrics for each in simulators.records(orders[:2])] == wanted[:2]
        assert started & set(multiprocessing.active_children())
    assert len(done) == 5
    assert not started & set(multiprocessing.active_children())


def test_an_error_arrives_as_it_is_and_ends_what_was_under_way():
    with Simulators(2) as simulators:
        with pytest.raises(ConfigError, match="there is no such thing") as caught:
            simulators.records([Odd(refuse), order(0), order(1)])
        assert "in refuse" in str(caught.value.__cause__)
        assert len(simulators.records([order(0), order(1)])) == 2


def test_an_error_that_cannot_be_sent_is_told_in_words():
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(StrategyError("fifo", "is odd")))  # there are such errors among ours
    with pytest.raises(BalancerError, match="Peculiar: no because of principle"):
        in_processes(Odd(refuse_peculiarly), order(0))


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(BalancerError, match="a process ended before its run did") as caught:
        in_processes(Odd(die), order(0), order(1))
    assert "\n" not in str(caught.value)
