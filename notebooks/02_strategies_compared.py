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
# We try every strategy, and two designs that the pool replaces, on four situations: endpoints that differ and a load
# that grows; bursts with a heavy tail; many threads on few endpoints; and a batch like the pipeline's.
#
# - `old_global_queue`: a thread polls one queue of endpoints, and keeps what it gets until it has had no work for a second.
# - `always_first`: every part of the program numbers its own workers; worker k calls endpoint k.

# %%
import os

from IPython.display import Markdown, display

from balancer.reporting.chart import Chart
from simulator import (
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
from simulator.report.charts import curves, gantt, ranking, tails
from simulator.report.figures import figure_of, worded, worded_difference
from simulator.report.markdown import best_in_words, markdown_table

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (200.0, 3) if SHORT else (1500.0, 8)
JOBS = 1 if SHORT else None  # processes; None: one a core

STRATEGIES = ["fifo", "least_in_flight", "weighted_health", "p2c", "random"]
BASELINES = ["old_global_queue", "always_first"]


def show(chart: Chart) -> None:
    display(Markdown(f"**{chart.title}**"), chart, Markdown(f"*{chart.caption}*"))


def run(scenario: Scenario, policies: list[str]) -> Study:
    with StudyProgress() as progress:
        return run_study(scenario, policies, jobs=JOBS, progress=progress)


# %% [markdown]
# ## Endpoints that differ, and a load that grows
#
# Three speeds, two calls at once in each endpoint. First at 60% of what all of them could do; then from 30% to 95%.

# %%
speeds = Scenario(
    name="three speeds",
    workload=Poisson(rate_per_s=12.6),
    work=Lognormal(mean_s=1.0, cv=1.0),
    endpoints=[
        EndpointModel(url="http://quick-{1..3}/", capacity=2, speed=2.0, weight=2.0),
        EndpointModel(url="http://plain-{1..3}/", capacity=2),
        EndpointModel(url="http://slow-{1..3}/", capacity=2, speed=0.5, weight=0.5),
    ],
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 10,
    replications=REPLICATIONS,
    loads=[0.3, 0.6, 0.9] if SHORT else [0.3, 0.45, 0.6, 0.7, 0.8, 0.9, 0.95],
)
by_load = run(speeds, STRATEGIES)
show(ranking(by_load))

# %%
show(curves(by_load))

# %% [markdown]
# The nearer the load comes to 1, the less there is to choose: when every slot is busy, the only free one is the one that
# has just come free.
#
# ## Bursts and a heavy tail
#
# The same endpoints, but requests come in bursts, and a few of them take very long.

# %%
bursts = speeds.changed(
    name="bursts",
    workload=OnOff(on_rate_per_s=22.0, off_rate_per_s=3.0, on_s=20.0, off_s=20.0),
    work=Pareto(mean_s=1.0, alpha=2.2),
    loads=[],
)
bursty = run(bursts, STRATEGIES)
show(tails(bursty, "sojourn"))

# %% [markdown]
# ## Many threads on few endpoints
#
# Twenty-four threads that never pause on four endpoints. Nobody can be quicker than the endpoints; the question is whether
# all threads get their share. Jain's index is 1 if they do and 1/24 if one has everything.

# %%
threads = Scenario(
    name="24 threads, 4 endpoints",
    workload=Closed(workers=24),
    work=Lognormal(mean_s=0.5, cv=1.0),
    endpoints=[EndpointModel(url="http://10.0.0.{1..4}/")],
    horizon_s=HORIZON_S / 2,
    replications=REPLICATIONS,
)
crowd = run(threads, [*STRATEGIES, *BASELINES])
FAIRNESS = ("jain_workers", "throughput_per_s", "wait_max_s")
display(
    Markdown(
        markdown_table(
            ["policy", *(figure_of(name).heading for name in FAIRNESS)],
            [
                [f"`{policy}`", *(worded(crowd.metric(policy, name), figure_of(name).unit) for name in FAIRNESS)]
                for policy in crowd.policies
            ],
        )
    )
)

# %% [markdown]
# (The longest wait counts leases that were granted. Under the old queue most threads never got any.)
#
# ## A batch
#
# Sixteen problems, four at a time; each generates outputs and then validates solutions, eight threads in each stage.

# %%
batch = Scenario(
    name="batch",
    workload=Batch(
        samples=6 if SHORT else 16,
        samples_at_once=4,
        task_spread=0.5,
        stages=[
            Stage(name="generate_test_outputs", tasks=20, workers=8),
            Stage(name="validate_solutions", tasks=80, workers=8, straggler_share=0.01),
        ],
    ),
    work=Lognormal(mean_s=0.8, cv=1.0),
    endpoints=[EndpointModel(url="http://10.0.0.{1..16}/")],
    horizon_s=36_000.0,
    replications=REPLICATIONS,
)
batched = run(batch, [*STRATEGIES, *BASELINES])
show(ranking(batched))

# %%
show(gantt(batched, batched.ranking()[0]))

# %%
show(gantt(batched, "old_global_queue"))

# %% [markdown]
# ## Answer

# %%
PARTS = (
    ("three speeds, 60% load", by_load, "sojourn_mean_s"),
    ("bursts, heavy tail: the slowest in a hundred", bursty, "sojourn_p99_s"),
    ("a batch", batched, "makespan_s"),
)
display(
    Markdown(
        markdown_table(
            ["situation", "by", "best"],
            [[words, figure_of(name).heading, best_in_words(study, name)] for words, study, name in PARTS],
        )
    )
)


def more_than_best(policy: str) -> str:
    best = batched.ranking()[0]
    return worded_difference(
        batched.difference(policy, best, "makespan_s"), batched.metric(best, "makespan_s").mean, "s"
    )


best = crowd.metric("fifo", "jain_workers").mean
old = crowd.metric("old_global_queue", "jain_workers").mean
starved = (
    sum(sum(calls == 0 for calls in record.crews[0]) for record in crowd.records["old_global_queue"]) / REPLICATIONS
)
display(
    Markdown(
        f"Where endpoints differ, take the one that the table names; where they are alike and busy, any strategy of the pool "
        f"will do.\n\n"
        f"The old global queue cost us twice. In a batch it took {more_than_best('old_global_queue')} more than the best, "
        f"because threads kept endpoints they had no work for. And it starved threads: of 24 threads, "
        f"{starved:.0f} never got an endpoint (Jain's index {old:.2f}, against {best:.2f} with the pool)."
    )
)
