"""Studies: a scenario under several policies, with replications.

`balancer_simulator.studies.findings` has the results.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from balancer.errors import ConfigError
from balancer.plugins.registry import Registered, Registry, default_registry
from balancer.reporting.charts import with_legend
from balancer_simulator.run.disciplines import BASELINES
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.findings import StudyFindings
from balancer_simulator.studies.parallel import Order, Simulators
from balancer_simulator.studies.plots import StudyPlots
from balancer_simulator.studies.warmup import PILOTS, settled_after, settles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Progress", "Study", "all_policies", "chosen_policies", "run_study"]

Progress = Callable[[int, int], None]
"""Told how many runs are done, and of how many."""


@dataclass(frozen=True, slots=True, repr=False)
class Study(StudyFindings):
    """Runs of a scenario, with their results.

    Attributes:
        scenario: as it was run.
        records: of each policy, by its label, one for each replication.
        curves: the same at each offered load, by load; empty unless the scenario has `loads`.
    """

    @property
    def plot(self) -> "StudyPlots[Axes]":
        """Plots, each of which returns matplotlib's `Axes`: `study.plot.cdf("wait_s", ax=ax)`."""
        return StudyPlots(self, with_legend)

    def _repr_html_(self) -> str:
        """Return the ranking for a notebook cell."""
        from balancer_simulator.studies.ranking import ranking_html  # loads the template engine

        return ranking_html(self)


def all_policies(registry: Registry | None = None) -> list[Policy]:
    """Return every installed strategy, with its default options, and the designs that the pool replaces."""
    names = [*sorted((registry or default_registry()).strategies), *BASELINES]
    return [Policy(strategy=name) for name in names]


def run_study(
    scenario: Scenario,
    policies: Iterable[Policy | str] | None = None,
    *,
    jobs: int | None = 1,
    registry: Registry | None = None,
    progress: Progress | None = None,
    requests: bool = True,
) -> Study:
    """Run `scenario` under each policy, `scenario.replications` times, and at each of its `loads`.

    Args:
        policies: strategies and baselines; a name is one with its default options. Default: the scenario's own, or all
            that are installed.
        jobs: processes; None: one a core. The results do not depend on it. With more than one, a script needs a guard:
            `if __name__ == "__main__"`.
        registry: where strategies are looked up, e.g. one of your own; needs jobs=1.
        progress: called before the first run, and after each.
        requests: whether to keep a row of 43 bytes for each request, for `Study.requests`; not at the loads.

    Raises:
        ConfigError: a strategy or option is unknown, there is none, or the workload has no load to vary.
        TypeError: `scenario` is not one, e.g. the path of one.
    """
    if not isinstance(scenario, Scenario):
        raise TypeError(f"run_study takes a Scenario, not {scenario!r}; load a file with load_scenario(path)")
    chosen = chosen_policies(scenario, policies, registry)
    runs = Runs(jobs, registry, progress)
    scenario, *curves = runs.settled([scenario, *(scenario.at_load(load) for load in scenario.loads)], chosen)
    records, *tables = runs.tables([scenario, *curves], chosen, keeping=scenario if requests else None)
    return Study(scenario, records, dict(zip(scenario.loads, tables, strict=True)))


class Runs:
    """Makes the runs of a study or a sweep, in several steps, and reports progress.

    Args:
        jobs, registry, progress: as in `run_study`.
    """

    def __init__(self, jobs: int | None, registry: Registry | None, progress: Progress | None) -> None:
        self._jobs = jobs
        self._registry = registry
        self._progress = progress
        self._done = self._all = 0

    def tables(
        self,
        scenarios: Sequence[Scenario],
        policies: Sequence[Policy],
        *,
        keeping: Scenario | None = None,
        most: int = sys.maxsize,
        later: int = 0,
    ) -> list[dict[str, tuple[Record, ...]]]:
        """Return the records of each scenario, by policy. The requests of `keeping` are kept.

        Args:
            most: replications of each scenario.
            later: number of runs that will follow.
        """
        orders = [
            Order(scenario, policy, number, scenario is keeping)
            for scenario in scenarios
            for policy in policies
            for number in range(min(most, scenario.replications))
        ]
        self._all = self._done + len(orders) + later
        if orders:  # the first one may take minutes
            self._say()
        with Simulators(self._jobs, self._registry) as simulators:
            records = iter(simulators.records(orders, self._advance))
        return [
            {policy.label: tuple(islice(records, min(most, scenario.replications))) for policy in policies}
            for scenario in scenarios
        ]

    def settled(self, scenarios: Sequence[Scenario], policies: Sequence[Policy]) -> list[Scenario]:
        """Return the scenarios. Those without a warm-up get the measured one, the same for all policies."""
        later = len(policies) * sum(scenario.replications for scenario in scenarios)
        pilots = iter(self.tables([each for each in scenarios if settles(each)], policies, most=PILOTS, later=later))
        return [_warmed_up(each, next(pilots)) if settles(each) else each for each in scenarios]

    def _advance(self) -> None:
        self._done += 1
        self._say()

    def _say(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._all)


def _warmed_up(scenario: Scenario, pilots: Mapping[str, Sequence[Record]]) -> Scenario:
    longest = max(settled_after([record.numbers for record in records]) or 0.0 for records in pilots.values())
    return scenario.changed(warmup_s=longest * scenario.horizon_s)


def chosen_policies(
    scenario: Scenario, policies: Iterable[Policy | str] | None = None, registry: Registry | None = None
) -> list[Policy]:
    """Return the policies to run: those given, else the scenario's own, else all that are installed.

    Raises:
        ConfigError: a strategy or option is unknown, all mistakes at once; or the list is empty, or no list.
    """
    if isinstance(policies, str):
        raise ConfigError(f"policies: found the text {policies!r}; give a list, [{policies!r}]")
    if policies is None:
        chosen = list(scenario.policies) or all_policies(registry)
    else:
        chosen = [Policy(strategy=policy) if isinstance(policy, str) else policy for policy in policies]
    if not chosen:
        raise ConfigError("policies: found none; name at least one, or leave them out for those of the scenario")
    known = registry or default_registry()
    mistakes = (each for policy in chosen for each in (*_mistakes(policy, known), *_keys_amiss(policy, scenario)))
    if problems := [f"policies: {line}" for line in mistakes]:  # all of them, before anything runs
        raise ConfigError(dict.fromkeys(problems))
    return chosen


def _mistakes(policy: Policy, registry: Registry) -> tuple[str, ...]:
    baselines = {name: Registered(kind, "simulator") for name, kind in BASELINES.items()}
    known: dict[str, Registered[Any]] = {**registry.strategies, **baselines}
    try:
        registry.find(policy.strategy, known, "strategy")
        if policy.strategy not in BASELINES:
            registry.strategy_options(policy.strategy, policy.options)
    except ConfigError as error:
        return error.problems
    if policy.strategy in BASELINES and policy.options:
        return (f"{policy.strategy!r} is a baseline and has no options; leave them out",)
    return ()


def _keys_amiss(policy: Policy, scenario: Scenario) -> Iterator[str]:
    """Yield a line for each key of `policy` that `scenario` has nothing for, or that would have no effect."""
    key, given = policy.key, policy.key != "prompt"
    if given and not (scenario.has_sessions if key == "session" else scenario.has_prompts):
        yield f"{policy.label!r}: found key = {key!r}, but the requests have no such thing; leave it out"
    if policy.sessions is not None and not scenario.has_sessions:
        yield f"{policy.label!r}: found sessions, but the requests have none; leave it out"
    if policy.strategy in BASELINES and (given or policy.sessions is not None):
        yield f"{policy.label!r}: a baseline has neither keys nor sessions; leave them out"
