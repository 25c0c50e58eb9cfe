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
# We try strategies, and two designs that the pool replaces, on endpoints that are alike and on endpoints that differ,
# from a low load to a high one; in bursts with a heavy tail; with many threads on few endpoints; and in a batch like the
# pipeline's. Nothing fails here; what happens if it does is the question of [the fourth notebook](04_failures.ipynb).
#
# There is one strategy of each kind, by what it looks at: `random` at nothing but weights, `fifo` at which slot has been free
# longest, `least_in_flight` at how many calls each endpoint has, `p2c` at how many two of them have, `peak_ewma` also at how
# long calls take, and `weighted_health` at how long they take and which fail. [Strategies](../docs/strategies.md) has all.
#
# - `old_global_queue`: a thread polls one queue of endpoints, and keeps what it gets until it has had no work for a second.
# - `always_first`: every part of the program numbers its own workers; worker k calls endpoint k. It is tried where
#   requests belong to workers, that is with threads and in the batch.

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
    StudyProgress,
    run_study,
)
from balancer_simulator.report.charts import beside_best, curves, gantt, ranking, tails
from balancer_simulator.report.markdown import best_in_words, markdown_table
from balancer_simulator.report.notebook import more_than, say, show, table
from balancer_simulator.studies.figures import figure_of, worded

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (200.0, 3) if SHORT else (800.0, 8)
AS_SCRIPT = "__file__" in globals()  # then processes would import it again, and run it
JOBS = 1 if SHORT or AS_SCRIPT else None  # processes; None: one a core

STRATEGIES = ["fifo", "least_in_flight", "weighted_health", "peak_ewma", "p2c", "random"]
OLD = "old_global_queue"
LOADS = [0.3, 0.6, 0.9] if SHORT else [0.3, 0.45, 0.6, 0.75, 0.9, 0.95]
SHOWN = (0.3, 0.6, 0.9)  # of these, in tables


def run(scenario: Scenario, policies: list[str]) -> Study:
    with StudyProgress() as progress:
        return run_study(scenario, policies, jobs=JOBS, progress=progress)


# %% [markdown]
# ## Endpoints that are alike
#
# As many endpoints of one speed as of three further down, with the same slots, so that the two can be compared.

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
of_one_speed = run(alike, [*STRATEGIES, OLD])
show(curves(of_one_speed))

# %% [markdown]
# ## Endpoints of three speeds
#
# The pool knows how quick they are: the speeds are the weights. [Strategies](../docs/strategies.md) says which one to use
# where nobody knows.

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
of_three_speeds = run(speeds, [*STRATEGIES, OLD])
show(curves(of_three_speeds))

# %%
show(beside_best(of_three_speeds))

# %%
show(ranking(of_three_speeds.at_load(SHOWN[0])))

# %% [markdown]
# The nearer the load comes to 1, the less there is to choose: when every slot is busy, the only free one is the one that
# has just come free. How much the strategies of the pool differ at each load, from the first to the last of them:

# %%
SITES = {"alike": of_one_speed, "three speeds": of_three_speeds}


def spread(study: Study, name: str = "sojourn_mean_s") -> str:
    first, *_, last = [policy for policy in study.ranking(name) if policy in STRATEGIES]
    return more_than(study, last, first, name)


table(
    ["endpoints", *(f"load {load:.0%}" for load in SHOWN)],
    [[words, *(spread(study.at_load(load)) for load in SHOWN)] for words, study in SITES.items()],
)

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
    horizon_s=6 * HORIZON_S,  # or the slowest of a hundred are not known
)
say(
    f"A burst offers {bursts.workload.on_rate_per_s / bursts.rate:.0%} of what all slots could do, a pause "
    f"{bursts.workload.off_rate_per_s / bursts.rate:.0%}; that is {bursts.workload.rate_per_s / bursts.rate:.0%} on the whole."
)
bursty = run(bursts, [*STRATEGIES, OLD])
show(tails(bursty, "sojourn"))

# %%
show(ranking(bursty, "sojourn_p99_s"))

# %% [markdown]
# ## Many threads on few endpoints
#
# Threads that never pause, on far fewer endpoints. Nobody can be quicker than the endpoints; the question is whether all
# threads get their share. Jain's index is 1 if they do; if one has everything it is 1 by the number of threads.

# %%
THREADS, FEW = 24, 4
threads = Scenario(
    name=f"{THREADS} threads, {FEW} endpoints",
    workload=Closed(workers=THREADS),
    work=Lognormal(mean_s=0.5, cv=1.0),
    endpoints=[EndpointModel(url=f"http://10.0.0.{{1..{FEW}}}/")],
    horizon_s=HORIZON_S / 2,
    warmup_s=0.0,  # who never gets an endpoint waits from the start
    replications=REPLICATIONS,
)
BASELINES = [OLD, "always_first"]
crowd = run(threads, [*STRATEGIES, *BASELINES])


def starved(policy: str) -> float:
    """Threads that never got an endpoint, the mean over the replications."""
    calls = [calls for record in crowd.records[policy] for crew in record.crews for calls in crew]
    return calls.count(0) / REPLICATIONS


FAIRNESS = ("jain_workers", "throughput_per_s", "wait_mean_s", "wait_max_s")
say(
    markdown_table(
        ["policy", f"of {THREADS} threads got nothing", *(figure_of(name).heading for name in FAIRNESS)],
        [
            [
                f"`{policy}`",
                f"{starved(policy):g}",
                *(worded(crowd.metric(policy, name), figure_of(name).unit) for name in FAIRNESS),
            ]
            for policy in crowd.policies
        ],
    )
    + f"\n\nA wait that has not ended counts as longer than it has been so far: with `{OLD}` the longest lasts for all the "
    f"{threads.horizon_s:g} s of a run, as {starved(OLD):g} threads wait from the start to the end. Its mean is an "
    "estimate (Kaplan and Meier): hardly any of the waits that were counted are those of these threads."
)

# %% [markdown]
# ## A batch
#
# The shape of the pipeline: a few problems at a time, each of which generates outputs and then validates solutions, with
# its own threads in each stage.

# %%
batch = Scenario(
    name="batch",
    workload=Batch(
        samples=6 if SHORT else 16,
        samples_at_once=4,
        stages=[
            Stage(name="generate_test_outputs", tasks=20, workers=8),
            Stage(name="validate_solutions", tasks=80, workers=8),
        ],
    ),
    work=Lognormal(mean_s=0.8, cv=1.0),
    endpoints=[EndpointModel(url="http://10.0.0.{1..16}/")],
    horizon_s=36_000.0,
    replications=REPLICATIONS,
)
batched = run(batch, [*STRATEGIES, *BASELINES])
show(ranking(batched))

# %% [markdown]
# No schedule can beat the *bound*: all the work over all the slots, or the longest chain of it. How near each policy comes:

# %%
BATCH = ("makespan_s", "makespan_by_bound")
table(
    ["policy", "makespan", "makespan / bound"],
    [[f"`{p}`", *(worded(batched.metric(p, n), figure_of(n).unit) for n in BATCH)] for p in batched.ranking()],
)

# %%
show(gantt(batched, batched.ranking()[0]))

# %%
show(gantt(batched, OLD))

# %% [markdown]
# ## Which one where
#
# A policy is as good as the best if the 95% interval of their difference, paired by replication, holds 0. Each row is a
# comparison of its own, so now and then one finds a difference where there is none. The old queue chooses as `fifo` does;
# what it takes more than `fifo` is the price of polling, and of keeping endpoints.


# %%
def best_strategy(study: Study, name: str) -> str:
    return next(policy for policy in study.ranking(name) if policy in STRATEGIES)


SITUATIONS = {
    **{
        f"{words}, load {load:.0%}": (s.at_load(load), "sojourn_mean_s") for words, s in SITES.items() for load in SHOWN
    },
    "bursts, heavy tail": (bursty, "sojourn_p99_s"),
    "a batch": (batched, "makespan_s"),
}
table(
    ["situation", "by", "best", f"`{OLD}` beside the best strategy", "beside `fifo`"],
    [
        [
            words,
            figure_of(name).heading,
            best_in_words(study, name),
            more_than(study, OLD, best_strategy(study, name), name),
            more_than(study, OLD, "fifo", name),
        ]
        for words, (study, name) in SITUATIONS.items()
    ],
)

# %% [markdown]
# ## Answer

# %%
wins = {p: sum(p in study.best(name) for study, name in SITUATIONS.values()) for p in STRATEGIES}
most = max(wins.values())
choice = " or ".join(f"`{policy}`" for policy in STRATEGIES if wins[policy] == most)
worse = sum(study.difference(OLD, "fifo", name).low > 0 for study, name in SITUATIONS.values())
jain, jain_old = (crowd.metric(policy, "jain_workers").mean for policy in ("fifo", OLD))
say(
    f"Run {choice}: the best, or not distinguishable from it, in {most} of {len(SITUATIONS)} situations. "
    f"The others: {', '.join(f'`{p}` in {wins[p]}' for p in STRATEGIES if wins[p] < most) or 'none'}. How much it matters "
    f"depends on the endpoints and on the load. Between the first and the last strategy at {SHOWN[0]:.0%} load, with "
    f"endpoints that are alike: {spread(of_one_speed.at_load(SHOWN[0]))}; with three speeds: "
    f"{spread(of_three_speeds.at_load(SHOWN[0]))}, and at {SHOWN[-1]:.0%} load {spread(of_three_speeds.at_load(SHOWN[-1]))}.\n\n"
    f"The old global queue chooses as `fifo` does, and was measurably slower than that in {worse} of {len(SITUATIONS)} "
    f"situations. The slowest request in a hundred, in bursts: {more_than(bursty, OLD, 'fifo', 'sojourn_p99_s')}. The "
    f"batch: {more_than(batched, OLD, 'fifo', 'makespan_s')}; threads keep endpoints that they have no work for. And of "
    f"{THREADS} threads on {FEW} endpoints, {starved(OLD):g} never got one (Jain's index {jain_old:.2f}, against "
    f"{jain:.2f} with `fifo`)."
)
