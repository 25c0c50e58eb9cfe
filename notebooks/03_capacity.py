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
# Nobody has to rent them to find out. Here the batch runs in virtual time, on hosts whose ports share the cores.

# %%
import os
from dataclasses import dataclass
from itertools import pairwise

from balancer_simulator import (
    Batch,
    EndpointModel,
    Host,
    Interval,
    Kind,
    Lognormal,
    Requests,
    Scenario,
    Stage,
    StudyProgress,
    Sweep,
    run_study,
    run_sweep,
)
from balancer_simulator.report.charts import trend
from balancer_simulator.report.markdown import best_in_words, markdown_table
from balancer_simulator.report.notebook import say, show, table
from balancer_simulator.studies.figures import worded, worded_difference
from balancer_simulator.studies.intervals import at_most_of, difference_of, interval_of

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
PROBLEMS, REPLICATIONS, FEW, DEADLINE_H = (12, 3, 3, 0.36) if SHORT else (200, 5, 3, 3.6)
JOBS = 1 if SHORT or "__file__" in globals() else None  # processes; None: one a core, which a plain script cannot have

CORES = 2  # of each host
DEADLINE_S = 3600 * DEADLINE_H
TIME_LIMIT_S = 60.0  # of one call
CERTAINTY = 0.95
AT_ONCE = 4  # problems under way at a time, each with its own workers
GENERATE, VALIDATE = 20, 80  # tasks of a problem
SLOW_SHARE, SLOW_FACTOR = 0.01, 10.0  # programs that hang, or nearly
WORK = Lognormal(mean_s=6.0, cv=1.0)  # seconds that one task takes on a core of its own
KINDS = [
    Kind(name="usual", share=1 - SLOW_SHARE),
    Kind(name="slow", share=SLOW_SHARE, work=Lognormal(mean_s=SLOW_FACTOR * WORK.mean_s, cv=1.0)),
]


def core_hours() -> float:
    tasks_s = WORK.mean_s * (GENERATE + VALIDATE * (1 + SLOW_SHARE * (SLOW_FACTOR - 1)))
    return PROBLEMS * tasks_s / 3600


# %%
def batch(hosts: int, workers: int, leases: int = CORES, *, time_limit_s: float | None = None, runs: int) -> Scenario:
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
        requests=Requests(attempts=1 if time_limit_s else 3, call_timeout_s=time_limit_s, kinds=KINDS),
        health=None,
        horizon_s=1e7,
        replications=runs,
    )


say(
    f"The batch has **{PROBLEMS} problems**, {AT_ONCE} under way at a time. Each has {GENERATE} outputs to "
    f"generate and then {VALIDATE} solutions to judge, {WORK.mean_s:g} s of a core for each on average; "
    f"{SLOW_SHARE:.0%} of the solutions take {SLOW_FACTOR:g} times as long. That is some {core_hours():.1f} hours "
    f"of one core. A host has {CORES} cores and, for a start, as many endpoints, each with one lease. "
    f"The batch must be done within **{DEADLINE_S / 3600:.2f} h**. Every figure below is from "
    f"{REPLICATIONS} batches of this kind, or {FEW} where said, which differ as batches do."
)

# %% [markdown]
# ## More hosts
#
# One line for each number of workers. `workers` is for one problem; the threads of all problems together are as
# many times that as there are problems under way. The lower bound is what no schedule can beat with the most workers.

# %%
HOSTS = (4, 5, 6, 8)
WORKERS = (2, 3, 4, 6, 8)
STRATEGY = "least_in_flight"

with StudyProgress() as progress:
    plans = run_sweep(
        {(hosts, workers): batch(hosts, workers, runs=REPLICATIONS) for hosts in HOSTS for workers in WORKERS},
        [STRATEGY],
        jobs=JOBS,
        progress=progress,
    )

lines = {f"{w} workers": {float(h): plans.metric((h, w), "makespan_s") for h in HOSTS} for w in WORKERS}
bounds = {
    float(hosts): Interval(sum(r.bound_s or 0.0 for r in records) / len(records), float("nan"), 1)
    for hosts in HOSTS
    for records in plans[hosts, WORKERS[-1]].records.values()
}
deadline = {float(hosts): Interval(DEADLINE_S, float("nan"), 1) for hosts in HOSTS}
show(trend({**lines, "lower bound": bounds, "deadline": deadline}, "makespan_s", xlabel="hosts"))

# %%
most = WORKERS[-1]
first_step = plans.difference((HOSTS[0], most), (HOSTS[1], most), "makespan_s")
last_step = plans.difference((HOSTS[-2], most), (HOSTS[-1], most), "makespan_s")
fewest_step = plans.difference((HOSTS[-2], WORKERS[0]), (HOSTS[-1], WORKERS[0]), "makespan_s")
say(
    f"With {most} workers, going from {HOSTS[0]} to {HOSTS[1]} hosts saves {worded(first_step, 's')}, from "
    f"{HOSTS[-2]} to {HOSTS[-1]} {worded(last_step, 's')}. With {WORKERS[0]} workers the last step saves "
    f"{worded(fewest_step, 's')}: {WORKERS[0]} x {AT_ONCE} = {WORKERS[0] * AT_ONCE} threads call no more than "
    f"{WORKERS[0] * AT_ONCE} endpoints at a time, however many there are."
)

# %% [markdown]
# ## More workers
#
# A worker without an endpoint waits. Up to as many threads as leases another worker keeps one more lease busy. Beyond
# that it mostly waits; what it still brings is that leases stay busy while another problem comes to the end of a stage.

# %%
by_workers = {f"{h} hosts": {float(w): plans.metric((h, w), "wait_mean_s") for w in WORKERS} for h in HOSTS}
show(trend(by_workers, "wait_mean_s", xlabel="workers for each stage of a problem"))


def step(hosts: int, fewer: int, more: int) -> list[str]:
    saved = plans.difference((hosts, fewer), (hosts, more), "makespan_s")
    before = plans.metric((hosts, fewer), "makespan_s").mean
    leases, threads = hosts * CORES, AT_ONCE * more
    said = worded(saved, "s") + f" ({saved.mean / before:.1%})" if saved.is_clear else "not distinguishable from 0"
    wait = worded(plans.metric((hosts, more), "wait_mean_s"), "s")
    return [f"{hosts}", f"{fewer} to {more}", f"{threads} on {leases}", said, wait]


table(
    ["hosts", "workers", "threads on leases", "saves", "then a thread waits for each call"],
    [step(hosts, *pair) for hosts in HOSTS for pair in pairwise(WORKERS)],
)

# %%
NEARLY = 1.02  # a difference of 2% is not worth more workers


def enough(hosts: int) -> int:
    """The fewest workers that are nearly as good as the most."""
    best_s = plans.metric((hosts, WORKERS[-1]), "makespan_s").mean
    return next(w for w in WORKERS if plans.metric((hosts, w), "makespan_s").mean <= NEARLY * best_s)


say(
    f"Fewest workers that come within {NEARLY - 1:.0%} of {WORKERS[-1]}: "
    + ", ".join(f"{enough(h)} on {h} hosts ({AT_ONCE * enough(h)} threads on {CORES * h} leases)" for h in HOSTS)
    + "."
)

# %% [markdown]
# ## How many leases for a host
#
# A host can be given more leases than it has cores. Then calls share the cores, and each takes longer. That matters
# twice: the work is not done sooner, and a call has a time limit that does not know why it is slow. Here a call that
# reaches its limit is given up and judged "time limit". With one core for each call that is right. What comes on
# top with more leases is **wrong verdicts**. (Where a host has more ports than cores, `host_caps` keeps the pool to as many
# leases as there are cores: see [the fourth notebook](04_failures.ipynb).)

# %%
LEASES = (1, 2, 3, 4, 6, 8)
SOME_HOSTS, MANY_WORKERS = 3, 8  # more threads than the most leases there are

with StudyProgress() as progress:
    crowds = run_sweep(
        {
            (leases, limit): batch(SOME_HOSTS, MANY_WORKERS, leases, time_limit_s=limit, runs=FEW)
            for leases in LEASES
            for limit in (None, TIME_LIMIT_S)
        },
        [STRATEGY],
        jobs=JOBS,
        progress=progress,
    )


def wrong(leases: int) -> Interval:
    return crowds.difference((leases, TIME_LIMIT_S), (CORES, TIME_LIMIT_S), "lost")


def call_s(leases: int) -> Interval:
    sojourns, waits = (crowds.values((leases, None), name) for name in ("sojourn_mean_s", "wait_mean_s"))
    return difference_of(sojourns, waits)


table(
    ["leases of a host", "makespan", "a call takes", "given up at the limit", "wrongly"],
    [
        [
            f"{leases}",
            worded(crowds.metric((leases, None), "makespan_s"), "s"),
            worded(call_s(leases), "s"),
            worded(crowds.metric((leases, TIME_LIMIT_S), "lost"), "part"),
            worded(wrong(leases), "part") if wrong(leases).is_clear else "-",
        ]
        for leases in LEASES
    ],
)
given_up = {f"limit {TIME_LIMIT_S:g} s": {float(n): crowds.metric((n, TIME_LIMIT_S), "lost") for n in LEASES}}
show(trend(given_up, "lost", xlabel=f"leases of a host with {CORES} cores", title="Tasks given up at their time limit"))

# %%
over = LEASES[-1]
gained = crowds.difference((CORES, None), (over, None), "makespan_s")
lacking = crowds.difference((LEASES[0], None), (CORES, None), "makespan_s")
say(
    f"On {SOME_HOSTS} hosts with {MANY_WORKERS} workers ({FEW} batches), {LEASES[0]} lease instead of {CORES} for "
    f"a host of {CORES} cores costs {worded(lacking, 's')}. {over} leases instead of {CORES} save "
    f"{worded(gained, 's') if gained.is_clear and gained.mean > 0 else 'nothing that can be told from 0'}, make a "
    f"call {call_s(over).mean / call_s(CORES).mean:.1f} times as long, and "
    + (
        f"give {worded(wrong(over), 'part')} of all tasks a wrong verdict."
        if wrong(over).is_clear
        else "give no more wrong verdicts than chance may."
    )
)

# %% [markdown]
# ## The deadline
#
# The mean is not enough: about half of all batches take longer. In the table, the interval is that of the mean; "surely
# below" is what the next batch stays below with the certainty asked for. What is paid for are host-hours: all hosts
# until the batch ends.


# %%
@dataclass(frozen=True)
class Option:
    hosts: int
    workers: int
    makespan: Interval
    surely_s: float
    host_hours: float

    @property
    def in_time(self) -> bool:
        return self.surely_s <= DEADLINE_S


def option(hosts: int, workers: int) -> Option:
    values = plans.values((hosts, workers), "makespan_s")
    makespan = interval_of(values)
    return Option(hosts, workers, makespan, at_most_of(values, CERTAINTY), hosts * makespan.mean / 3600)


def cell(found: Option) -> str:
    words = f"{found.makespan.mean / 3600:.2f} h \u00b1{found.makespan.half / 3600:.2f}, {found.surely_s / 3600:.2f} h"
    return f"**{words}**" if found.in_time else words


options = {(hosts, workers): option(hosts, workers) for hosts in HOSTS for workers in WORKERS}
rows = [[f"{workers} workers", *(cell(options[hosts, workers]) for hosts in HOSTS)] for workers in WORKERS]
say(
    f"Makespan, and what it is surely below ({CERTAINTY:.0%}); bold: makes {DEADLINE_S / 3600:.2f} h surely.\n\n"
    + markdown_table(["", *(f"{hosts} hosts" for hosts in HOSTS)], rows)
)
spent = [[f"{w} workers", *(f"{options[h, w].host_hours:.2f}" for h in HOSTS)] for w in WORKERS]
say("Host-hours:\n\n" + markdown_table(["", *(f"{hosts} hosts" for hosts in HOSTS)], spent))

# %%
in_time = [found for found in options.values() if found.in_time]
if not in_time:
    raise RuntimeError("no option makes the deadline; widen HOSTS or WORKERS")
cheapest = min(in_time, key=lambda found: found.host_hours)
plan = min(
    (found for found in in_time if found.host_hours <= NEARLY * cheapest.host_hours),
    key=lambda found: (found.hosts, found.workers),
)
hopeful = [found for found in options.values() if found.makespan.mean <= DEADLINE_S and not found.in_time]
say(
    f"Cheapest in time, or within {NEARLY - 1:.0%} of it with fewer hosts and workers: **{plan.hosts} hosts and "
    f"{plan.workers} workers** ({plan.host_hours:.2f} host-hours, surely done in {plan.surely_s / 3600:.2f} h). "
    + (
        "In time on average but not surely: "
        + ", ".join(f"{found.hosts} hosts with {found.workers} workers" for found in hopeful)
        + "."
        if hopeful
        else "No option is in time on average but not surely."
    )
)

# %% [markdown]
# ## What the old designs would have needed
#
# `old_global_queue` polls for an endpoint, and a worker keeps it while its problem has work. `always_first` has no
# pool at all: worker k of every problem calls endpoint k, so it uses no more endpoints than a stage has workers. It is
# shown with the workers of the plan and, so that it can use every endpoint, with a worker for each.

# %%
OLD_HOSTS = tuple(plan.hosts + further for further in (0, 1, 2))
OLD = ("old_global_queue", "always_first")

with StudyProgress() as progress:
    planned = run_sweep(
        {hosts: batch(hosts, plan.workers, runs=REPLICATIONS) for hosts in OLD_HOSTS},
        [STRATEGY, *OLD],
        jobs=JOBS,
        progress=progress,
    )
with StudyProgress() as progress:
    crowded = run_sweep(
        {hosts: batch(hosts, CORES * hosts, runs=REPLICATIONS) for hosts in OLD_HOSTS},
        ["always_first"],
        jobs=JOBS,
        progress=progress,
    )


def needs(runs: Sweep[int], policy: str) -> str:
    """The fewest hosts that are surely in time."""
    found = [h for h in OLD_HOSTS if at_most_of(runs.values(h, "makespan_s", policy), CERTAINTY) <= DEADLINE_S]
    return f"{found[0]} hosts" if found else f"more than {OLD_HOSTS[-1]} hosts (the most tried)"


old_lines = {
    policy: {float(hosts): planned.metric(hosts, "makespan_s", policy) for hosts in OLD_HOSTS}
    for policy in (STRATEGY, *OLD)
}
old_lines["always_first, a worker for each endpoint"] = {
    float(hosts): crowded.metric(hosts, "makespan_s", "always_first") for hosts in OLD_HOSTS
}
old_lines["deadline"] = {float(hosts): Interval(DEADLINE_S, float("nan"), 1) for hosts in OLD_HOSTS}
show(trend(old_lines, "makespan_s", xlabel="hosts", title=f"The old designs, {plan.workers} workers"))

# %%
base = planned.metric(plan.hosts, "makespan_s", STRATEGY).mean
worse = {policy: planned[plan.hosts].difference(policy, STRATEGY, "makespan_s") for policy in OLD}
table(
    ["", f"more than the pool on {plan.hosts} hosts", f"surely in time ({CERTAINTY:.0%}) with"],
    [
        [f"the pool, `{STRATEGY}`", "", needs(planned, STRATEGY)],
        *([f"`{policy}`", worded_difference(worse[policy], base, "s"), needs(planned, policy)] for policy in OLD),
        ["`always_first`, a worker for each endpoint", "", needs(crowded, "always_first")],
    ],
)

# %% [markdown]
# Does it matter which strategy the pool has?

# %%
with StudyProgress() as progress:
    strategies = run_study(
        batch(plan.hosts, plan.workers, runs=FEW), [STRATEGY, "fifo", "weighted_health"], progress=progress
    )
say(
    f"On {plan.hosts} hosts with {plan.workers} workers ({FEW} batches) the best is {best_in_words(strategies)}. "
    "Hosts and endpoints are alike here, and a lease is a core, so one free endpoint is as good as another."
)

# %% [markdown]
# ## Answer

# %%
fewer = [found for found in in_time if found.hosts < plan.hosts]
larger = sorted((o for o in options.values() if o.hosts > plan.hosts), key=lambda found: found.host_hours)
say(
    f"- Rent **{plan.hosts} hosts** of {CORES} cores and give each stage of a problem **{plan.workers} workers**. "
    f"The batch of {PROBLEMS} problems then takes {plan.makespan.mean / 3600:.2f} h on average and, with "
    f"{CERTAINTY:.0%} certainty, less than {plan.surely_s / 3600:.2f} h; it has {DEADLINE_S / 3600:.2f} h. "
    f"It costs {plan.host_hours:.1f} host-hours.\n"
    f"- {'Fewer hosts also make it, but cost more.' if fewer else 'Fewer hosts do not make it surely.'} "
    + (
        "Of those with more hosts, which are rented for a shorter time, the cheapest is "
        f"{larger[0].hosts} hosts and {larger[0].workers} workers: {larger[0].makespan.mean / 3600:.2f} h for "
        f"{larger[0].host_hours:.1f} host-hours.\n"
        if larger
        else "\n"
    )
    + f"- On {plan.hosts} hosts, {enough(plan.hosts)} workers ({AT_ONCE * enough(plan.hosts)} threads on "
    f"{CORES * plan.hosts} leases) come within {NEARLY - 1:.0%} of {WORKERS[-1]}; further ones mostly wait.\n"
    f"- Give a host as many leases as it has cores, no more: "
    + (
        f"with {LEASES[-1]} instead of {CORES}, {worded(wrong(LEASES[-1]), 'part')} of all tasks get a wrong "
        "verdict because their calls reach the time limit.\n"
        if wrong(LEASES[-1]).is_clear
        else "more only make every call longer.\n"
    )
    + f"- Of the old designs, the global queue would have needed {needs(planned, 'old_global_queue')}; the one "
    f"without a pool {needs(planned, 'always_first')} with these workers, and {needs(crowded, 'always_first')} "
    "with a worker for each endpoint.\n"
)
