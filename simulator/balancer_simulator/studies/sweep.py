"""Sweeps: one scenario with a value or two changed, e.g. 2, 3 and 4 hosts, each under the same policies.

All scenarios are run together, over the same processes, and compared if they have the same requests.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from balancer.errors import ConfigError
from balancer.plugins.registry import Registry
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.frames import frame_by_key
from balancer_simulator.studies.intervals import QUANTILES, Interval, difference_of, pooled, quantile_difference
from balancer_simulator.studies.parallel import Order
from balancer_simulator.studies.study import Progress, Runs, Study, chosen_policies

__all__ = ["Sweep", "run_sweep"]

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Sweep(Generic[Key]):
    """A study of each scenario, by its key."""

    studies: dict[Key, Study]

    def __getitem__(self, key: Key) -> Study:
        """Return one of the studies. Raises KeyError."""
        return self.studies[key]

    def metric(self, key: Key, name: str, policy: str | None = None) -> Interval:
        """Return one figure of one scenario; `policy` defaults to the first.

        Raises:
            KeyError: there is no such scenario.
            ConfigError: it has no such policy or figure.
        """
        study = self.studies[key]
        return study.metric(policy or study.policies[0], name)

    def values(self, key: Key, name: str, policy: str | None = None) -> list[float]:
        """Return one figure of one scenario in each replication; `policy` defaults to the first.

        Raises:
            KeyError: there is no such scenario.
            ConfigError: it has no such policy or figure.
        """
        study = self.studies[key]
        return study.values(policy or study.policies[0], name)

    def difference(self, key: Key, other: Key, name: str, policy: str | None = None) -> Interval:
        """Return how much larger `name` is at `key` than at `other`, paired by replication.

        Scenarios with the same workload have the same requests in a replication, so most of the noise cancels.
        """
        values, others = self.values(key, name, policy), self.values(other, name, policy)
        if name not in QUANTILES:
            return difference_of(values, others)
        found, beside = (pooled(self._runs(each, policy), name) for each in (key, other))
        return quantile_difference(found, beside)

    def to_frame(self, *, runs: bool = False) -> Any:
        """Return a DataFrame of pandas as that of a study, with a first column `key`: the key of the scenario.

        Raises:
            BalancerError: pandas is not installed.
        """
        return frame_by_key({key: study.to_frame(runs=runs) for key, study in self.studies.items()})

    def _runs(self, key: Key, policy: str | None) -> tuple[Record, ...]:
        study = self.studies[key]
        return study.records[policy or study.policies[0]]


def run_sweep(
    scenarios: Mapping[Key, Scenario],
    policies: Iterable[Policy | str] | None = None,
    *,
    jobs: int | None = 1,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Sweep[Key]:
    """Run every scenario under each policy, all of them over the same processes.

    Args:
        scenarios: by key, e.g. the value that was changed.
        policies: as in `run_study`; default: those of the first scenario, or all that are installed.
        jobs, registry, progress: as in `run_study`. No calls are kept, so a `gantt` chart is not possible.

    Raises:
        ConfigError: there are no scenarios, they cannot be compared, one has `loads`, or a policy is unknown.
    """
    _check(scenarios)
    chosen = chosen_policies(next(iter(scenarios.values())), policies, registry)
    runs = Runs(jobs, registry, progress)
    scenarios = dict(zip(scenarios, runs.settled(list(scenarios.values()), chosen), strict=True))
    orders = [
        Order(scenario, policy, replication)
        for scenario in scenarios.values()
        for policy in chosen
        for replication in range(scenario.replications)
    ]
    records = iter(runs.made(orders))
    return Sweep({key: Study(scenario, _of_one(scenario, chosen, records)) for key, scenario in scenarios.items()})


def _of_one(scenario: Scenario, policies: Iterable[Policy], records: Iterable[Record]) -> dict[str, tuple[Record, ...]]:
    following = iter(records)
    return {policy.label: tuple(next(following) for _ in range(scenario.replications)) for policy in policies}


def _check(scenarios: Mapping[Key, Scenario]) -> None:
    if not scenarios:
        raise ConfigError("sweep: there are no scenarios; give at least one")
    first_key, first = next(iter(scenarios.items()))
    for key, scenario in scenarios.items():
        if scenario.precision is not None:
            raise ConfigError(f"sweep: {key!r} has precision; a sweep makes the same runs of each; leave it out")
        if scenario.loads:
            raise ConfigError(f"sweep: {key!r} has loads; sweep over them instead, or use run_study")
        for name in ("replications", "seed"):
            if getattr(scenario, name) != getattr(first, name):
                raise ConfigError(
                    f"sweep: {name} is {getattr(first, name)} in {first_key!r} and {getattr(scenario, name)} in "
                    f"{key!r}; it must be the same in all, so that they can be paired"
                )
