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
# # The first simulation
#
# What is a strategy, and can we trust a simulation of it before we change production?
#
# - A *pool* has *endpoints*; each has some *slots*.
# - Whoever wants to call an endpoint asks for a *lease*, the right to one slot, and gives it back when the call is over.
#   If no slot is free, it waits its turn.
# - A *strategy* decides one thing: which of the free endpoints is next.
# - A *policy* is what a simulation compares: a strategy with its options, or one of the designs that the pool replaces.
#
# Here we watch some of them at work: the code that production runs, with a clock that costs nothing.

# %%
import os
import random
import tomllib
from math import nan

from balancer_simulator import (
    Closed,
    EndpointModel,
    Exponential,
    Interval,
    Lognormal,
    Poisson,
    Scenario,
    run_study,
)
from balancer_simulator.report.charts import shares, tails, trend, utilisation
from balancer_simulator.report.markdown import best_in_words, markdown_table
from balancer_simulator.report.notebook import more_than, say, show, table
from balancer_simulator.studies.figures import figure_of, worded

from balancer import Pool
from balancer.endpoint import Outcome
from balancer.plugins.registry import Registry
from balancer.settings.config import Config
from balancer.strategy import Node, Request, Strategy

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (600.0, 4) if SHORT else (4000.0, 10)
STRATEGIES = ["fifo", "least_in_flight", "weighted_health", "p2c", "random"]


# %% [markdown]
# ## One pool and a few callers
#
# A *scenario* says who asks and what the endpoints are like. Here a few callers share four endpoints with one slot each:
# there are more callers than slots. A caller thinks for a while, asks for a lease, makes its call, and begins again.

# %%
first = Scenario(
    name="a few callers",
    workload=Closed(workers=6, think=Exponential(mean_s=0.5)),
    work=Lognormal(mean_s=1.0, cv=1.0),
    endpoints=[EndpointModel(url="http://10.0.0.{1..4}/")],
    horizon_s=300.0,
    replications=REPLICATIONS,
)
few = run_study(first, ["fifo"])
FIGURES = ("throughput_per_s", "utilisation", "wait_mean_s", "wait_p99_s", "jain_workers")
table(
    ["figure", "found"],
    [
        [
            f"{figure_of(name).heading}: {figure_of(name).meaning}",
            worded(few.metric("fifo", name), figure_of(name).unit),
        ]
        for name in FIGURES
    ],
)

# %%
show(tails(few, "wait"))

# %%
show(shares(few, "fifo"))

# %%
show(utilisation(few, "fifo"))

# %% [markdown]
# ## Can it be trusted?
#
# Now requests that come at random, whatever becomes of them, to the same four endpoints. For that, mathematics knows
# the wait (Erlang's formula of 1917). The simulation should find it, within its own uncertainty.

# %%
SLOTS, LOAD, LOADS = 4, 0.8, [0.3, 0.5, 0.7, 0.8, 0.9]
textbook = Scenario(
    name="four alike",
    workload=Poisson(rate_per_s=SLOTS * LOAD),
    work=Exponential(mean_s=1.0),
    endpoints=[EndpointModel(url=f"http://10.0.0.{{1..{SLOTS}}}/")],
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 10,
    replications=REPLICATIONS,
)
by_load = run_study(textbook.changed(loads=LOADS), ["fifo"])
simulated = {load: by_load.at_load(load).metric("fifo", "wait_mean_s") for load in LOADS}


def erlang_wait_s(slots: int, load: float) -> float:
    lost = 1.0  # of requests that may not wait: one more slot each time
    for count in range(1, slots + 1):
        lost = load * slots * lost / (count + load * slots * lost)
    return lost / (1 - load + load * lost) / (slots * (1 - load))


theory = {load: erlang_wait_s(SLOTS, load) for load in LOADS}
inside = [load for load in LOADS if simulated[load].low <= theory[load] <= simulated[load].high]
exact = {load: Interval(wait_s, nan, 1) for load, wait_s in theory.items()}  # no uncertainty, so no band
show(
    trend(
        {"simulated": simulated, "Erlang": exact},
        "wait_mean_s",
        xlabel="offered load (part of what all slots could do)",
        title="The wait by load, simulated and by formula",
    )
)

# %%
say(
    markdown_table(
        ["offered load", "simulated", "Erlang", "Erlang is"],
        [
            [
                f"{load:.0%}",
                worded(simulated[load], "s"),
                worded(exact[load], "s"),
                "inside the interval" if load in inside else "outside",
            ]
            for load in LOADS
        ],
    )
    + f"\n\nErlang's wait is inside {len(inside)} of {len(LOADS)} intervals. They are 95% intervals, over "
    f"{REPLICATIONS} replications: even if all is well, one in twenty misses."
)

# %% [markdown]
# ## What a strategy changes
#
# First the same four endpoints, which are alike, under some of the strategies. Then four that are not: one is quicker than two
# others, and one is slower; each takes more than one call at once.

# %%
alike = run_study(textbook, STRATEGIES)
say(f"Four endpoints that are alike, by the mean time of a request: {best_in_words(alike)}.")
alike

# %%
mixed = Scenario(
    name="three speeds",
    workload=Poisson(rate_per_s=5.0),
    work=Lognormal(mean_s=1.0, cv=1.0),
    endpoints=[
        EndpointModel(url="http://quick/", capacity=2, speed=2.0, weight=2.0),
        EndpointModel(url="http://plain-{1..2}/", capacity=2),
        EndpointModel(url="http://slow/", capacity=2, speed=0.5, weight=0.5),
    ],
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 10,
    replications=REPLICATIONS,
)
study = run_study(mixed, STRATEGIES)
best, worst = study.ranking()[0], study.ranking()[-1]
table(
    ["strategy", "mean time of a request", "more than the best", "calls to the slow endpoint"],
    [
        [
            f"`{policy}`",
            worded(study.metric(policy, "sojourn_mean_s"), "s"),
            "" if policy == best else more_than(study, policy, best),
            f"{sum(record.shares['http://slow/'] for record in study.records[policy]) / REPLICATIONS:.1%}",
        ]
        for policy in study.ranking()
    ],
)

# %% [markdown]
# All strategies met the very same requests, so most of what is chance is in none of the differences. Where the calls went,
# under the last and the first of them:

# %%
for policy in (worst, best):
    show(shares(study, policy))

# %%
show(utilisation(study, best))

# %% [markdown]
# ## A strategy of our own
#
# A strategy is a class with a few methods. This one takes the endpoint that is free and was the quickest last time.


# %%
class QuickestFree(Strategy):
    """The free endpoint whose last call was the quickest."""

    name = "quickest_free"

    def __init__(self, options: object, rng: random.Random) -> None:
        self._rng = rng
        self._last_s: dict[Node, float] = {}

    def join(self, node: Node, now: float) -> None:
        self._last_s[node] = 0.0  # unknown: to be tried first

    def leave(self, node: Node, now: float) -> None:
        del self._last_s[node]

    def change(self, node: Node, now: float) -> None:
        pass

    def pick(self, request: Request, now: float) -> Node | None:
        free = [node for node in self._last_s if node.free and request.admits(node.endpoint)]
        return min(free, key=lambda node: (self._last_s[node], self._rng.random()), default=None)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        if node in self._last_s and outcome is Outcome.SUCCESS:
            self._last_s[node] = elapsed_s


registry = Registry()
registry.add_strategy(QuickestFree)
ours = run_study(mixed, ["quickest_free", *STRATEGIES], registry=registry)
mine = ours.ranking().index("quickest_free") + 1
others = [policy for policy in ours.ranking() if policy != "quickest_free"]
say(
    f"Best by the mean time of a request: {best_in_words(ours)}. Ours came in at place {mine} of {len(ours.policies)}.\n\n"
    + markdown_table(
        ["beside", "the mean time of a request is, with ours"],
        [[f"`{policy}`", more_than(ours, "quickest_free", policy)] for policy in others],
    )
)

# %%
show(tails(ours, "sojourn"))

# %% [markdown]
# In production a strategy is one line of the config, here our own. The pool below is a real one, not a simulation; its
# strategy can be changed while it is in use.

# %%
CONFIG = """
[pool]
strategy = "quickest_free"
seed = 1

[[endpoints]]
url = "http://10.0.0.{1..4}/"
capacity = 2
"""
pool = Pool.from_config(Config.model_validate(tomllib.loads(CONFIG)), registry=registry)
print(pool.stats().strategy)
with pool.lease(timeout=1.0) as lease:
    pool.set_strategy(best)  # the lease that is out carries over
    print(pool.stats().strategy, "with", sum(endpoint.in_flight for endpoint in pool.stats().endpoints), "in flight")

# %% [markdown]
# ## Answer

# %%
as_good = len(alike.best())
ALIKE = (
    "none of the strategies could be told apart from the best"
    if as_good == len(STRATEGIES)
    else (f"{as_good} of {len(STRATEGIES)} strategies are as good as the best")
)
say(
    f"A strategy decides which free endpoint is next, and nothing else. With endpoints that are alike, {ALIKE}. With "
    f"three speeds, the best by the mean time of a request is {best_in_words(study)}; with `{worst}`, the last, a request "
    f"takes {more_than(study, worst, best)} more.\n\n"
    f"Can the simulation be trusted? As far as mathematics can tell: the wait that theory knows is inside {len(inside)} "
    f"of the {len(LOADS)} intervals that it found. And it makes its choices with the code that production runs. What "
    f"it does not know is what we did not tell it: how our own endpoints behave.\n\n"
    f"A strategy of our own is one class. Ours came in at place {mine} of {len(ours.policies)} here, before anything in "
    f'production was touched. What is chosen is then one line of the config: `strategy = "{best}"`.'
)
