# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is my strategy better?
#
# I have an idea for a strategy: take the server where a call would be done soonest. Is it better than those that there are?
#
# Four steps answer it, without a server: write it, prove that it keeps the contract of a strategy, simulate it, and compare
# it in more than one case.

# %%
import os
import random

from balancer_simulator import (
    CrashRepair,
    EndpointModel,
    FailWithin,
    Lognormal,
    Poisson,
    Requests,
    Scenario,
    Study,
    run_study,
)
from hypothesis import settings
from IPython.display import Markdown, display
from pandas import DataFrame

from balancer.endpoint import Outcome
from balancer.errors import StrategyError
from balancer.kit import LeastLoaded
from balancer.plugins.registry import Registry
from balancer.strategy import Node, Request, Strategy
from balancer.testing.conformance import SETTINGS, check_strategy

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (300.0, 3) if SHORT else (1200.0, 8)
OTHERS = ["least_in_flight", "weighted_health", "peak_ewma", "fifo"]


# %% [markdown]
# ## Write
#
# The first try. A strategy hears which endpoints join and leave, picks one, and hears how each call ended.


# %%
class FirstTry(Strategy):
    """The endpoint where a call would be done soonest: its mean time, times the calls that it has."""

    name = "soonest"

    def __init__(self, options: object, rng: random.Random) -> None:
        self._mean_s: dict[Node, float] = {}

    def join(self, node: Node, now: float) -> None:
        self._mean_s[node] = 0.0  # unknown: to be tried first

    def leave(self, node: Node, now: float) -> None:
        del self._mean_s[node]

    def change(self, node: Node, now: float) -> None:
        pass

    def pick(self, request: Request, now: float) -> Node | None:
        return min(self._mean_s, key=lambda node: self._mean_s[node] * (node.in_flight + 1), default=None)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        if outcome is Outcome.SUCCESS:
            self._mean_s[node] += 0.2 * (elapsed_s - self._mean_s[node])


# %% [markdown]
# ## Prove
#
# `check_strategy` makes random calls on a pool, in any order: leases, releases, failures, changes of the endpoints. After
# each it compares the pool with a simple model. If they differ, Hypothesis prints the fewest calls that show it.


# %%
def proved(kind: type[Strategy]) -> str:
    """Return what is wrong with a strategy; "" if nothing was found."""
    try:
        check_strategy(kind, settings=settings(SETTINGS, derandomize=True))
    except (AssertionError, StrategyError) as error:
        return "\n".join([str(error), *getattr(error, "__notes__", ())])
    return ""


mistake = proved(FirstTry)
print(mistake)


# %% [markdown]
# It picks an endpoint that is full, or one that the request does not allow. The parts of `balancer.kit` have dealt with all
# of this. `LeastLoaded` draws a few endpoints that may be used, and takes the one with the least load; only the load is ours.


# %%
class Soonest(LeastLoaded):
    """The endpoint where a call would be done soonest, of three drawn at random."""

    name = "soonest"

    def __init__(self, options: object, rng: random.Random) -> None:
        super().__init__(rng, choices=3)
        self._mean_s: dict[Node, float] = {}

    def load(self, node: Node, now: float) -> float:
        return self._mean_s.get(node, 0.0) * (node.in_flight + 1) / node.weight

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        if outcome is Outcome.SUCCESS:
            mean_s = self._mean_s.get(node, elapsed_s)
            self._mean_s[node] = mean_s + 0.2 * (elapsed_s - mean_s)
        super().finish(node, outcome, elapsed_s, now)

    def leave(self, node: Node, now: float) -> None:
        self._mean_s.pop(node, None)
        super().leave(node, now)


left = proved(Soonest)
print(left or "no breach of the contract was found")

# %% [markdown]
# ## Simulate, and compare
#
# One scenario is not enough: a strategy that is good with servers of different speeds may be bad when one fails. Nobody has
# told the pool which server is which. All strategies meet the same requests.

# %%
registry = Registry()
registry.add_strategy(Soonest)


def compared(rate_per_s: float, *endpoints: EndpointModel) -> Study:
    scenario = Scenario(
        workload=Poisson(rate_per_s=rate_per_s),
        work=Lognormal(mean_s=1.0, cv=1.3),
        endpoints=list(endpoints),
        requests=Requests(attempts=3),
        horizon_s=HORIZON_S,
        warmup_s=HORIZON_S / 6,
        replications=REPLICATIONS,
    )
    return run_study(scenario, [Soonest.name, *OTHERS], registry=registry, requests=False)


def servers(name: str, **values: object) -> EndpointModel:
    return EndpointModel(url=f"http://{name}/", **{"capacity": 4, "parallel": 2, **values})


crashes, hole = CrashRepair(mtbf_s=120.0, mttr_s=30.0), FailWithin(after_s=0.01, from_s=HORIZON_S / 4)
studies = {
    "equal servers": compared(12.8, servers("plain-{1..8}")),
    "three speeds": compared(
        15.0, servers("fast-{1..4}", speed=2.0), servers("plain-{1..3}"), servers("slow-{1..3}", speed=0.25)
    ),
    "one fails each call": compared(7.0, servers("plain-{1..5}"), servers("hole", faults=[hole])),
    "slow and flapping": compared(
        6.0, servers("fast-{1..3}"), servers("flaps", faults=[crashes]), servers("slow-{1..2}", speed=0.3)
    ),
}
studies["three speeds"].plot.ranking()
# %%
studies["three speeds"].plot.cdf("sojourn_s", tail=True)
# %%
studies["three speeds"].plot.shares(Soonest.name)
# %% [markdown]
# The mean time of a request in each case, and the strategies that cannot be told apart from the best:

# %%
means = {case: {p: str(s.metric(p, "sojourn_mean_s")) for p in s.policies} for case, s in studies.items()}
DataFrame({**means}).T.assign(best=[", ".join(s.best()) for s in studies.values()])

# %% [markdown]
# ## Answer

# %%
won = [case for case, study in studies.items() if Soonest.name in study.best()]
beside = {case: study.difference(Soonest.name, "least_in_flight", "sojourn_mean_s") for case, study in studies.items()}
rest = "\n".join(f"- {case}: {difference} s" for case, difference in beside.items())
display(
    Markdown(
        f"My strategy is among the best in {len(won)} of {len(studies)} cases{': ' * bool(won)}{', '.join(won)}. The mean time "
        f"of a request with mine, less that with `least_in_flight`, the default of a pool:\n\n{rest}\n\n"
        f"{'The first try was wrong, and the check showed it in a few calls. ' if mistake else ''}"
        "To use mine: offer it in a [plugin](../docs/plugins.md), and write its name in the config. Nothing else changes, as "
        "the simulation runs the code that production runs."
    )
)
