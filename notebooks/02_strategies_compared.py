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
# # Strategies compared
#
# Which strategy should we run, and what did the old global queue cost us?
#
# One strategy of each kind, by what it looks at: `random` at nothing but weights, `fifo` at which slot has been free
# longest, `least_in_flight` at how many calls each endpoint has, `p2c` at how many two of them have, `peak_ewma` also at how
# long calls take, `weighted_health` at how long they take and which fail. [Strategies](../docs/strategies.md) has all. And
# two designs that the pool replaces:
#
# - `old_global_queue`: a thread polls one queue of endpoints, and keeps what it gets until it has had no work for a second.
# - `always_first`: every part of the program numbers its own workers; worker k calls endpoint k.

# %%
import os

from balancer_simulator import (
    Batch,
    Closed,
    EndpointModel,
    Lognormal,
    OnOff,
    Pareto,
    Poisson,
    Scenario,
    Stage,
    Study,
    run_study,
)
from IPython.display import Markdown, display
from pandas import DataFrame

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (100.0, 3) if SHORT else (400.0, 6)
STRATEGIES = ["fifo", "least_in_flight", "weighted_health", "peak_ewma", "p2c", "random"]
OLD = "old_global_queue"
LOADS = [0.3, 0.6, 0.9]

# %% [markdown]
# ## Endpoints that are alike, and of three speeds
#
# Nine endpoints each time. The pool knows how quick they are: the speeds are the weights.

# %%
alike = Scenario(
    name="alike",
    workload=Poisson(rate_per_s=10.8),
    work=Lognormal(mean_s=1.0, cv=1.0),
    endpoints=[EndpointModel(url="http://plain-{1..9}/", capacity=2)],
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 10,
    replications=REPLICATIONS,
    loads=LOADS,
)
of_one_speed = run_study(alike, [*STRATEGIES, OLD], requests=False)
of_one_speed.plot.heat("sojourn_mean_s")
# %%
speeds = alike.changed(
    name="three speeds",
    workload=Poisson(rate_per_s=12.6),
    endpoints=[
        EndpointModel(url="http://quick-{1..3}/", capacity=2, speed=2.0, weight=2.0),
        EndpointModel(url="http://plain-{1..3}/", capacity=2),
        EndpointModel(url="http://slow-{1..3}/", capacity=2, speed=0.5, weight=0.5),
    ],
)
of_three_speeds = run_study(speeds, [*STRATEGIES, OLD], requests=False)
of_three_speeds.plot.heat("sojourn_mean_s")
# %% [markdown]
# The nearer the load comes to 1, the less there is to choose: when every slot is busy, the only free one is the one that
# has just come free.

# %%
of_three_speeds.plot.curve("sojourn_mean_s")
# %% [markdown]
# ## Bursts and a heavy tail
#
# The three speeds again, but requests come in bursts, and a few of them take very long.

# %%
bursts = speeds.changed(
    name="bursts",
    workload=OnOff(on_rate_per_s=22.0, off_rate_per_s=3.0, on_s=20.0, off_s=20.0),
    work=Pareto(mean_s=1.0, alpha=2.2),
    loads=[],
    horizon_s=3 * HORIZON_S,  # or the slowest are not known
)
bursty = run_study(bursts, [*STRATEGIES, OLD], requests=False)
bursty.plot.cdf("sojourn_s", tail=True)
# %%
bursty.plot.ranking("sojourn_p90_s")
# %% [markdown]
# ## Many threads on few endpoints
#
# Threads that never pause, on far fewer endpoints. The question is whether all threads get their share. Jain's index is 1
# if they do; if one has everything it is 1 by the number of threads.

# %%
THREADS, FEW = 24, 4
threads = Scenario(
    name=f"{THREADS} threads, {FEW} endpoints",
    workload=Closed(workers=THREADS),
    work=Lognormal(mean_s=0.5, cv=1.0),
    endpoints=[EndpointModel(url=f"http://10.0.0.{{1..{FEW}}}/")],
    horizon_s=HORIZON_S / 2,
    warmup_s=0.0,  # a thread that never gets an endpoint waits from the start
    replications=REPLICATIONS,
)
crowd = run_study(threads, ["fifo", "least_in_flight", OLD, "always_first"], requests=False)
crowd.figures.pivot(index="policy", columns="figure", values="mean")[
    ["jain_workers", "throughput_per_s", "wait_mean_s", "wait_max_s"]
].round(2)

# %% [markdown]
# ## A batch
#
# The shape of the pipeline: a few problems at a time, each of which generates outputs and then validates solutions.
# No schedule can beat the *bound*: all the work over all the slots, or the longest chain of it.

# %%
stages = [
    Stage(name="generate_test_outputs", tasks=20, workers=8),
    Stage(name="validate_solutions", tasks=80, workers=8),
]
batch = Scenario(
    name="batch",
    workload=Batch(samples=6 if SHORT else 16, samples_at_once=4, stages=stages),
    work=Lognormal(mean_s=0.8, cv=1.0),
    endpoints=[EndpointModel(url="http://10.0.0.{1..16}/")],
    horizon_s=36_000.0,
    replications=REPLICATIONS,
)
batched = run_study(batch, [*STRATEGIES, OLD, "always_first"], requests=False)
batched.plot.ranking("makespan_by_bound")
# %%
batched.plot.utilisation(OLD)
# %% [markdown]
# ## Which one where
#
# A strategy is as good as the best if the 95% interval of their difference, paired by replication, holds 0. The old queue
# chooses as `fifo` does; what it takes more than `fifo` is the price of polling, and of keeping endpoints.

# %%
SITUATIONS: dict[str, tuple[Study, str]] = {
    **{f"alike, load {load:.0%}": (of_one_speed.at_load(load), "sojourn_mean_s") for load in LOADS},
    **{f"three speeds, load {load:.0%}": (of_three_speeds.at_load(load), "sojourn_mean_s") for load in LOADS},
    "bursts, heavy tail": (bursty, "sojourn_p90_s"),
    "a batch": (batched, "makespan_s"),
}
DataFrame(
    {
        "best, or not told apart from it": {name: ", ".join(s.best(by)) for name, (s, by) in SITUATIONS.items()},
        "its figure, s": {name: str(s.metric(s.best(by)[0], by)) for name, (s, by) in SITUATIONS.items()},
        "the old queue beside fifo, s": {
            name: str(s.difference(OLD, "fifo", by)) for name, (s, by) in SITUATIONS.items()
        },
    }
)

# %% [markdown]
# ## Answer

# %%
wins = {policy: sum(policy in s.best(by) for s, by in SITUATIONS.values()) for policy in STRATEGIES}
first = max(wins, key=wins.__getitem__)
worse = sum(s.difference(OLD, "fifo", by).low > 0 for s, by in SITUATIONS.values())
jain, jain_old = (crowd.metric(policy, "jain_workers") for policy in ("fifo", OLD))
display(
    Markdown(
        f"Run `{first}`: the best, or not told apart from it, in {wins[first]} of {len(SITUATIONS)} situations. The others: "
        f"{', '.join(f'`{policy}` in {count}' for policy, count in wins.items() if policy != first)}.\n\n"
        f"The old global queue was measurably slower than `fifo` in {worse} of {len(SITUATIONS)} situations. The batch took "
        f"{batched.difference(OLD, 'fifo', 'makespan_s')} s longer: threads keep endpoints that they have no work for. "
        f"And of {THREADS} threads on {FEW} endpoints only some ever got one (Jain's index {jain_old}; with `fifo` {jain})."
    )
)
