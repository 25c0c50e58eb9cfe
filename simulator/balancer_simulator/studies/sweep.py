"""Sweeps: one scenario with a value or two changed, e.g. 2, 3 and 4 hosts, each under the same policies.

All scenarios are run together, over the same processes, and compared if they have the same requests.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from balancer.errors import ConfigError
from balancer.plugins.registry import Registry
from balancer.reporting.charts import with_legend
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.intervals import Interval
from balancer_simulator.studies.plots import SweepPlots
from balancer_simulator.studies.study import Progress, Runs, Study, chosen_policies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Sweep", "run_sweep"]

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Sweep(Generic[Key]):
    """A study of each scenario, by its key."""

    studies: dict[Key, Study]

    def __getitem__(self, key: Key) -> Study:
        """Return one of the studies. Raises KeyError."""
        return self.studies[key]

    @property
    def plot(self) -> "SweepPlots[Axes]":
        """Plots, each of which returns matplotlib's `Axes`: `sweep.plot.curve("makespan_s", x="endpoints")`."""
        return SweepPlots(self.studies, "key", with_legend)

    @property
    def figures(self) -> Any:
        """The figures of all studies, as `Study.figures` has them, after a column `key`: the key of the scenario."""
        from pandas import concat

        found = [study.figures.assign(key=[key] * len(study.figures)) for key, study in self.studies.items()]
        whole = concat(found, ignore_index=True)
        return whole[["key", *(column for column in whole.columns if column != "key")]]

    def metric(self, key: Key, name: str, policy: str | None = None) -> Interval:
        """Return one figure of one scenario; `policy` defaults to the first.

        Raises:
            KeyError: there is no such scenario.
            ConfigError: it has no such policy or figure.
        """
        study = self.studies[key]
        return study.metric(policy or study.policies[0], name)

    def difference(self, key: Key, other: Key, name: str, policy: str | None = None) -> Interval:
        """Return how much larger `name` is at `key` than at `other`, paired by replication.

        Scenarios with the same workload have the same requests in a replication, so most of the noise cancels.
        """
        studies = [self.studies[each] for each in (key, other)]
        mine, theirs = (study.runs_of(policy or study.policies[0]) for study in studies)
        return Study(studies[0].scenario, {"mine": mine, "theirs": theirs}).difference("mine", "theirs", name)


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
        jobs, registry, progress: as in `run_study`. No requests are kept.

    Raises:
        ConfigError: there are no scenarios, they cannot be compared, one has `loads`, or a policy is unknown.
    """
    _check(scenarios)
    chosen = chosen_policies(next(iter(scenarios.values())), policies, registry)
    runs = Runs(jobs, registry, progress)
    settled = runs.settled(list(scenarios.values()), chosen)
    studies = map(Study, settled, runs.tables(settled, chosen))
    return Sweep(dict(zip(scenarios, studies, strict=True)))


def _check(scenarios: Mapping[Key, Scenario]) -> None:
    if not scenarios:
        raise ConfigError("sweep: there are no scenarios; give at least one")
    first_key, first = next(iter(scenarios.items()))
    for key, scenario in scenarios.items():
        if scenario.loads:
            raise ConfigError(f"sweep: {key!r} has loads; sweep over them instead, or use run_study")
        for name in ("replications", "seed"):
            if getattr(scenario, name) != getattr(first, name):
                raise ConfigError(
                    f"sweep: {name} is {getattr(first, name)} in {first_key!r} and {getattr(scenario, name)} in "
                    f"{key!r}; it must be the same in all, so that they can be paired"
                )
