"""Carries out a plan in the simulator.

Decides how a plan is written as a scenario. It must not know the threaded pool.
"""

import random
from collections.abc import Callable
from dataclasses import asdict, astuple
from typing import Any
from unittest.mock import patch

from balancer_simulator import Policy, Scenario, simulate_once
from balancer_simulator.run.attempts import AttemptRunner
from balancer_simulator.run.disciplines import LeasePerCall
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task
from simpy import Environment

from balancer.core import Core
from balancer.core.health import HealthWatch
from balancer.core.metrics import PoolStats
from balancer.endpoint import Lease
from balancer.errors import BalancerError
from tests.equivalence.gate import Coarse
from tests.equivalence.happened import Decided, Granted, Happened, Refused, recording
from tests.equivalence.listening import ListeningRegistry
from tests.equivalence.plan import REFUSAL_S, Kind, Plan, Site

__all__ = ["choices_of", "simulate"]


def choices_of(plan: Plan) -> random.Random:
    """Return the randomness that the simulator gives to the strategy."""
    return Streams(plan.seed, 0).choices(Purpose.STRATEGY)


def simulate(plan: Plan, strategy: str) -> Happened:
    """Return what the simulator makes of `plan`."""
    registry, watch = ListeningRegistry(), _Watch()
    decisions: list[Decided] = []

    def attempts(*arguments: Any, rng: random.Random, **values: Any) -> AttemptRunner:
        return AttemptRunner(*arguments, rng=Coarse(plan.seed), **values)

    with (
        patch("balancer_simulator.run.engine.LeasePerCall", watch.discipline),
        patch("balancer_simulator.run.engine.AttemptRunner", attempts),
        patch("balancer_simulator.run.attempts.AttemptPlan", recording(decisions)),
        patch("balancer.core.rules.HealthWatch", lambda health, _: HealthWatch(health, Coarse(plan.seed))),
    ):
        record = simulate_once(scenario_of(plan), Policy(strategy=strategy), registry=registry, observer=watch.granted)
    endpoints, totals, waits = watch.core.counters(plan.horizon_s)
    return Happened(
        answers=watch.answers,
        decisions=decisions,
        told=registry.told,
        calls={endpoint.url: (endpoint.calls, endpoint.failures) for endpoint in record.by_endpoint},
        completed=record.completed,
        lost=record.lost,
        refused=record.timed_out,
        unfinished=record.unfinished,
        stats=PoolStats.of(
            endpoints, strategy=strategy, waits=waits, quotas=watch.core.quotas(plan.horizon_s), **totals
        ),
    )


class _Watch:
    """Writes down grants, and refusals, of which the engine tells nobody; and keeps the core for its counters."""

    def __init__(self) -> None:
        self.answers: list[Granted | Refused] = []
        self.core: Core

    def granted(self, task: Task, lease: Lease) -> None:
        self.answers.append(Granted(task.number, lease.endpoint.url, lease.id, lease.granted_s))

    def discipline(
        self,
        env: Environment,
        core: Core,
        start: Callable[[Task, Lease, float], None],
        refuse: Callable[[Task, BalancerError], None],
    ) -> LeasePerCall:
        self.core = core

        def refused(task: Task, error: BalancerError) -> None:
            if task.plan is None:  # else its decisions tell
                self.answers.append(Refused(task.number, type(error), str(error), env.now))
            refuse(task, error)

        return LeasePerCall(env, core, start, refused)


def scenario_of(plan: Plan) -> Scenario:
    """Return the scenario that says what `plan` says."""
    at_s, work_s, kinds = map(list, zip(*map(astuple, plan.arrivals), strict=True))
    workload = {"kind": "arrivals", "at_s": at_s, "work_s": work_s, "kinds": kinds}
    requests = {
        "attempts": plan.attempts,
        "kinds": [_kind(number, kind, plan.timeout_s) for number, kind in enumerate(plan.kinds)],
    }
    return Scenario.model_validate(
        {
            "workload": workload,
            "requests": requests,
            "endpoints": [_endpoint(site, plan.horizon_s) for site in plan.sites],
            "changes": [asdict(change) for change in plan.changes if change.at_s < plan.horizon_s],
            "max_waiters": plan.max_waiters,
            "horizon_s": plan.horizon_s,
            "seed": plan.seed,
            "retries": plan.retries,
            **plan.rules.values(),
        }
    )


def _endpoint(site: Site, horizon_s: float) -> dict[str, object]:
    said = asdict(site)
    windows = said.pop("failing")
    seen = [(from_s, to_s) for from_s, to_s in windows if from_s < min(to_s, horizon_s) and to_s > site.from_s]
    return {
        **said,
        "labels": sorted(site.labels),
        "refuse_s": REFUSAL_S,
        "retry_after_s": site.retry_after_s if site.refuse_beyond else None,
        "faults": [{"kind": "fail_within", "from_s": from_s, "to_s": to_s} for from_s, to_s in seen],
    }


def _kind(number: int, kind: Kind, timeout_s: float | None) -> dict[str, object]:
    return {
        **asdict(kind),
        "name": f"kind {number}",
        "labels": sorted(kind.labels),
        "acquire_timeout_s": timeout_s,
    }
