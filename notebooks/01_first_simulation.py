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
# - To call an endpoint, a caller asks for a *lease*, the right to one slot. If no slot is free, it waits.
# - A *strategy* decides one thing: which of the free endpoints is next.
#
# The simulation runs the code that production runs, with a clock that costs nothing. Its results are frames of pandas
# and axes of matplotlib.

# %%
import os

from balancer_simulator import Closed, EndpointModel, Exponential, Lognormal, Poisson, Scenario, run_study
from IPython.display import Markdown, display
from pandas import DataFrame

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (600.0, 4) if SHORT else (4000.0, 10)

# %% [markdown]
# ## One pool and a few callers
#
# A *scenario* says who asks, and what the endpoints are like. Six callers share four endpoints with one slot each. A
# caller thinks for a while, asks for a lease, makes its call, and begins again.

# %%
few = run_study(
    Scenario(
        name="a few callers",
        workload=Closed(workers=6, think=Exponential(mean_s=0.5)),
        work=Lognormal(mean_s=1.0, cv=1.0),
        endpoints=[EndpointModel(url="http://10.0.0.{1..4}/")],
        horizon_s=300.0,
        warmup_s=30.0,
        replications=REPLICATIONS,
    ),
    ["fifo"],
)
few.requests().tail(3)

# %%
few.figures.set_index("figure")[["mean", "low", "high", "unit"]].round(3).head(8)

# %% [markdown]
# Who looks at a queue draws five plots first. Each takes a line.

# %%
few.plot.cdf("wait_s")
# %%
few.plot.queue()
# %%
few.plot.utilisation()
# %%
few.plot.shares()
# %% [markdown]
# ## Can it be trusted?
#
# Now requests that come at random to the same four endpoints. For that, mathematics knows the wait (Erlang, 1917). The
# simulation should find it, within its own uncertainty.

# %%
SLOTS, LOADS = 4, [0.3, 0.5, 0.7, 0.8, 0.9]
textbook = Scenario(
    name="four alike",
    workload=Poisson(rate_per_s=0.8 * SLOTS),
    work=Exponential(mean_s=1.0),
    endpoints=[EndpointModel(url=f"http://10.0.0.{{1..{SLOTS}}}/")],
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 10,
    replications=REPLICATIONS,
)
by_load = run_study(textbook.changed(loads=LOADS), ["fifo"], requests=False)


def erlang_wait_s(load: float) -> float:
    lost = 1.0  # of requests that may not wait: one more slot each time
    for count in range(1, SLOTS + 1):
        lost = load * SLOTS * lost / (count + load * SLOTS * lost)
    return lost / (1 - load + load * lost) / (SLOTS * (1 - load))


ax = by_load.plot.curve("wait_mean_s")
ax.plot(LOADS, [erlang_wait_s(load) for load in LOADS], "kx", markersize=10, label="Erlang")
# %%
found = by_load.figures.query("figure == 'wait_mean_s' and load > 0").set_index("load")[["mean", "low", "high"]]
found["Erlang"] = [erlang_wait_s(load) for load in LOADS]
found["inside"] = found.Erlang.between(found.low, found.high)
found.round(4)

# %% [markdown]
# ## What a strategy changes
#
# First the four endpoints that are alike; then one that is quick, two that are plain and one that is slow. All strategies
# meet the very same requests, so most of what is chance is in none of the differences.

# %%
STRATEGIES = ["fifo", "least_in_flight", "weighted_health", "p2c", "random"]
alike = run_study(textbook, STRATEGIES, requests=False)
alike

# %%
mixed = textbook.changed(
    name="three speeds",
    workload=Poisson(rate_per_s=5.0),
    work=Lognormal(mean_s=1.0, cv=1.0),
    endpoints=[
        EndpointModel(url="http://quick/", capacity=2, speed=2.0, weight=2.0),
        EndpointModel(url="http://plain-{1..2}/", capacity=2),
        EndpointModel(url="http://slow/", capacity=2, speed=0.5, weight=0.5),
    ],
)
study = run_study(mixed, STRATEGIES, requests=False)
study.plot.ranking("sojourn_mean_s")
# %% [markdown]
# Where the calls went, under the last of them and under the first:

# %%
best, worst = study.ranking()[0], study.ranking()[-1]
calls = study.endpoints().pivot_table(index="url", columns="policy", values="share")
DataFrame(calls[[worst, best]]).plot.barh(xlabel="share of all calls", ylabel="")
# %%
study.plot.cdf("sojourn_s", tail=True)
# %% [markdown]
# ## Answer

# %%
one, other = (study.metric(policy, "sojourn_mean_s") for policy in (best, worst))
display(
    Markdown(
        f"A strategy decides which free endpoint is next, and nothing else. With endpoints that are alike, "
        f"{len(alike.best())} of {len(STRATEGIES)} strategies cannot be told apart from the best. With three speeds, "
        f"`{best}` takes {one} s for a request on average, and `{worst}` {other} s: "
        f"{study.difference(worst, best, 'sojourn_mean_s')} s more.\n\n"
        f"Can the simulation be trusted? As far as mathematics can tell: Erlang's wait is inside {found.inside.sum()} of "
        f"the {len(LOADS)} intervals. They are 95% intervals over {REPLICATIONS} replications, so now and then one misses. "
        "What the simulation does not know is what we did not tell it: how our own endpoints behave. "
        "[The fifth notebook](05_from_a_log.ipynb) learns that from a log."
    )
)
