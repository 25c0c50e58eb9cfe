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
# # Capacity planning
#
# How many servers must we rent, and how many workers should call them, so that the batch is done by Friday evening?
#
# Nobody has to rent them to find out. Here the batch runs in virtual time, on hosts whose ports share the cores. With a
# trace of a run of your own, `balancer plan` answers the same.

# %%
import os

from balancer_simulator import (
    Batch,
    EndpointModel,
    Host,
    Kind,
    Lognormal,
    Requests,
    Scenario,
    Stage,
    run_study,
    run_sweep,
)
from IPython.display import Markdown, display

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
PROBLEMS, REPLICATIONS, DEADLINE_H = (12, 3, 0.4) if SHORT else (80, 5, 1.5)
CORES, AT_ONCE = 2, 4  # of a host; problems under way at a time, each with its own workers
GENERATE, VALIDATE = 20, 80  # tasks of a problem
WORK = Lognormal(mean_s=6.0, cv=1.0)  # seconds that one task takes on a core of its own
KINDS = [
    Kind(name="usual", share=0.99),
    Kind(name="slow", share=0.01, work=Lognormal(mean_s=60.0, cv=1.0)),  # programs that hang, or nearly
]


def batch(hosts: int, workers: int, leases: int = CORES, *, limit_s: float | None = None) -> Scenario:
    """A batch on so many hosts, each with an endpoint for each lease; so many workers for each stage of a problem."""
    stages = [
        Stage(name="generate_test_outputs", tasks=GENERATE, workers=workers, kind="usual"),
        Stage(name="validate_solutions", tasks=VALIDATE, workers=workers),
    ]
    return Scenario(
        name=f"{hosts} hosts, {workers} workers",
        workload=Batch(samples=PROBLEMS, samples_at_once=AT_ONCE, stages=stages),
        work=WORK,
        endpoints=[EndpointModel(url=f"http://10.0.0.{{1..{hosts}}}:{{8080..{8079 + leases}}}/")],
        hosts={f"10.0.0.{host}": Host(cores=CORES) for host in range(1, hosts + 1)},
        requests=Requests(attempts=1 if limit_s else 3, call_timeout_s=limit_s, kinds=KINDS),
        health=None,
        horizon_s=1e7,
        replications=REPLICATIONS,
    )


# %% [markdown]
# ## More hosts, more workers
#
# A line for each number of workers of one problem; four problems are under way, each with its own. A worker without an
# endpoint waits, and an endpoint without a worker stands idle: the one that is scarcer decides.

# %%
HOSTS, WORKERS, STRATEGY = (4, 5, 6, 8), (2, 3, 4, 8), "least_in_flight"
plans = run_sweep({(h, f"{w} workers"): batch(h, w) for h in HOSTS for w in WORKERS}, [STRATEGY])
ax = plans.plot.curve("makespan_s", x="hosts")
ax.axhline(3600 * DEADLINE_H, color="black", linewidth=1)
ax.annotate("deadline", (HOSTS[-1], 3600 * DEADLINE_H), ha="right", va="bottom")
# %%
plans.plot.heat("utilisation", x="hosts")
# %%
plans.plot.heat("wait_mean_s", x="hosts")
# %% [markdown]
# ## Surely in time?
#
# The mean is not enough: about half of all batches take longer. A setting counts as in time if every batch that was tried
# is. What is paid for are host-hours: all hosts until the batch ends.

# %%
spent = plans.figures.query("figure == 'makespan_s'").assign(
    hosts=lambda rows: [key[0] for key in rows.key],
    workers=lambda rows: [key[1] for key in rows.key],
    longest_h=lambda rows: [plans[key].runs.makespan_s.max() / 3600 for key in rows.key],
)
spent["host_hours"] = spent.hosts * spent["mean"] / 3600
in_time = spent[spent.longest_h <= DEADLINE_H]
if in_time.empty:
    raise RuntimeError("no setting makes the deadline; widen HOSTS or WORKERS")
chosen = in_time.loc[in_time.host_hours.idxmin()]
spent.pivot(index="workers", columns="hosts", values="longest_h").round(2)

# %%
spent.pivot(index="workers", columns="hosts", values="host_hours").round(2)

# %% [markdown]
# ## How many leases for a host
#
# A host can be given more leases than it has cores. Then calls share the cores, and each takes longer. That matters twice:
# the work is not done sooner, and a call has a time limit that does not know why it is slow. What it cuts off on top is a
# **wrong verdict**. (`host_caps` keeps the pool to as many leases as there are cores.)

# %%
LEASES, LIMIT_S = (1, 2, 3, 4, 8), 60.0
crowds = run_sweep({leases: batch(3, 8, leases, limit_s=LIMIT_S) for leases in LEASES}, [STRATEGY])
crowds.plot.curve("lost", x=f"leases of a host with {CORES} cores")
# %%
crowds.figures.query("figure in ['makespan_s', 'lost', 'sojourn_mean_s']").pivot(
    index="key", columns="figure", values="mean"
).round(3)

# %% [markdown]
# ## What the old designs would have needed
#
# `old_global_queue` polls for an endpoint, and a worker keeps it while its problem has work. `always_first` has no pool at
# all: worker k of every problem calls endpoint k.

# %%
old = run_study(
    batch(chosen.hosts, int(chosen.workers.split()[0])), [STRATEGY, "fifo", "old_global_queue", "always_first"]
)
old.plot.ranking("makespan_s")
# %%
old.plot.utilisation("always_first")
# %% [markdown]
# ## Answer

# %%
wrong = crowds.difference(LEASES[-1], CORES, "lost")
more = {policy: old.difference(policy, STRATEGY, "makespan_s") for policy in ("old_global_queue", "always_first")}
display(
    Markdown(
        f"**{chosen.hosts} hosts and {chosen.workers}** for each stage of a problem: {chosen.host_hours:.2f} host-hours, the "
        f"longest of {REPLICATIONS} batches took {chosen.longest_h:.2f} h of the {DEADLINE_H:g} h that there are. "
        f"{PROBLEMS} problems were run, {AT_ONCE} at a time.\n\n"
        f"Give a host as many leases as it has cores. With {LEASES[-1]} instead of {CORES}, another "
        f"{100 * wrong.mean:.1f}% of all tasks were cut off at their time limit: wrong verdicts.\n\n"
        f"On the same hosts the old global queue takes {more['old_global_queue']} s more, and worker k on endpoint k "
        f"{more['always_first']} s."
    )
)
