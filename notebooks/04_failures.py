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
# # Failures
#
# One server fails at once, is slow, or comes and goes: what does that cost us, and which strategy protects us?
#
# Four endpoints with one slot each; the last one is the bad one. Calls take 1 s on average. With one slot each,
# `least_in_flight` and `random` choose alike: any free endpoint.

# %%
import os

from IPython.display import Markdown, display

from balancer.reporting.chart import Chart
from simulator import (
    Change,
    Closed,
    CrashRepair,
    EndpointModel,
    FastFail,
    Interval,
    Poisson,
    Requests,
    Scenario,
    SlowWithin,
    StudyProgress,
    Sweep,
    Warmup,
    run_sweep,
)
from simulator.faults import Fault
from simulator.intervals import interval_of
from simulator.report.charts import ranking, tails, trend
from simulator.report.figures import figure_of, worded, worded_difference
from simulator.report.markdown import best_in_words, markdown_table
from simulator.workload import Workload

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, CLOSED_S, REPLICATIONS = (150.0, 60.0, 3) if SHORT else (1200.0, 150.0, 6)
JOBS = 1 if SHORT or "__file__" in globals() else None  # processes; None: one a core, which a plain script cannot have

STRATEGIES = ("fifo", "least_in_flight", "weighted_health", "p2c", "random")
SOUND = 3  # endpoints, beside the bad one
BAD = "http://bad/"
BLACK_HOLE: list[Fault] = [FastFail(after_s=0.01)]


def show(chart: Chart) -> None:
    display(Markdown(f"**{chart.title}**"), chart, Markdown(f"*{chart.caption}*"))


# %%
def cluster(
    workload: Workload,
    faults: list[Fault],
    *,
    attempts: int = 1,
    exclude: bool = True,
    changes: list[Change] | None = None,
    slots: int = 1,
    warm: bool = True,
) -> Scenario:
    """Sound endpoints and one with faults; `warm`: the first tenth of the time does not count."""
    horizon_s = CLOSED_S if isinstance(workload, Closed) else HORIZON_S
    return Scenario(
        workload=workload,
        endpoints=[
            EndpointModel(url=f"http://sound-{{1..{SOUND}}}/", capacity=slots),
            EndpointModel(url=BAD, capacity=slots, faults=faults),
        ],
        requests=Requests(attempts=attempts, exclude_failed=exclude),
        changes=changes or [],
        horizon_s=horizon_s,
        warmup_s=horizon_s / 10 if warm else 0.0,
        replications=REPLICATIONS,
    )


def between(parts: list[float]) -> str:
    ends = dict.fromkeys(f"{part:.0%}" for part in (min(parts), max(parts)))
    return " to ".join(ends)


def said(runs: Sweep, key: object, name: str, policy: str) -> str:
    return worded(runs.metric(key, name, policy), figure_of(name).unit)


# %% [markdown]
# ## The black hole: an endpoint that fails at once
#
# It fails every call after 10 ms, without any work, so it is free again at once. First with callers that never pause,
# each with one call at a time, and no retries: then every call that fails is a request lost. Only the black hole
# fails calls, so "failed calls" is the part of all calls that it takes.

# %%
CALLERS = range(1, SOUND + 2)

with StudyProgress() as progress:
    holes = run_sweep(
        {callers: cluster(Closed(workers=callers), BLACK_HOLE) for callers in CALLERS},
        STRATEGIES,
        jobs=JOBS,
        progress=progress,
    )

by_callers = {
    policy: {float(callers): holes.metric(callers, "failed_calls", policy) for callers in CALLERS}
    for policy in STRATEGIES
}
show(trend(by_callers, "failed_calls", xlabel="callers", title="What the black hole takes, 4 slots"))
display(
    Markdown(
        markdown_table(
            ["part of all calls", *(f"{callers} caller{'s' * (callers > 1)}" for callers in CALLERS)],
            [[f"`{p}`", *(said(holes, callers, "failed_calls", p) for callers in CALLERS)] for p in STRATEGIES],
        )
    )
)

# %%
full, spare = CALLERS[-1], CALLERS[-2]
taken = [holes.metric(full, "failed_calls", policy).mean for policy in STRATEGIES]
display(
    Markdown(
        f"With as many callers as slots ({full}) the black hole takes {between(taken)} of all calls, whatever the "
        f"strategy. With one slot to spare ({spare} callers) the least goes to it under "
        f"{best_in_words(holes[spare], 'failed_calls')}."
    )
)

# %% [markdown]
# Why no strategy helps when all slots are busy: a strategy chooses among *free* slots, and there is only one, that of
# the black hole, which has just failed again. Only taking it out of service helps, and **no strategy does that yet**
# (ejection is to be a feature of the pool). Until then retries and people have to.
#
# ## The same with an open workload
#
# Requests come at random. `load` is the part of what the *sound* endpoints can do. No retries yet.

# %%
LOADS = (0.2, 0.4, 0.6, 0.8, 0.9)


def at(load: float) -> Poisson:
    return Poisson(rate_per_s=load * SOUND)


with StudyProgress() as progress:
    opened = run_sweep(
        {load: cluster(at(load), BLACK_HOLE) for load in LOADS}, STRATEGIES, jobs=JOBS, progress=progress
    )

by_load = {policy: {load: opened.metric(load, "lost", policy) for load in LOADS} for policy in STRATEGIES}
show(trend(by_load, "lost", xlabel="load of the sound endpoints", title="Requests lost to the black hole, no retries"))

# %%
low, high = LOADS[0], LOADS[-1]
display(
    Markdown(
        f"Fewest are lost at load {low:g} under {best_in_words(opened[low], 'lost')}, and at load {high:g} under "
        f"{best_in_words(opened[high], 'lost')}."
    )
)

# %% [markdown]
# ## Retries
#
# A request that failed is called again. Without exclusion the retry may meet the same endpoint; with it, it goes
# elsewhere while another endpoint will do, and waits if that one is busy. "Calls" is what a request costs.

# %%
RETRIES = {
    "no retry": {"attempts": 1},
    "3 attempts, anywhere": {"attempts": 3, "exclude": False},
    "3 attempts, elsewhere": {"attempts": 3, "exclude": True},
}
SOME = ("fifo", "least_in_flight", "weighted_health")
LOAD = 0.6

WORKLOADS: dict[str, Workload] = {f"open, load {LOAD:g}": at(LOAD), f"{full} callers": Closed(workers=full)}
busy_open, busy_closed = WORKLOADS

FATES = {
    **{
        (where, how): cluster(workload, BLACK_HOLE, **given)
        for where, workload in WORKLOADS.items()
        for how, given in RETRIES.items()
    },
    **{(where, "all sound"): cluster(workload, []) for where, workload in WORKLOADS.items()},
}
with StudyProgress() as progress:
    retried = run_sweep(FATES, SOME, jobs=JOBS, progress=progress)


def calls(where: str, how: str, policy: str) -> Interval:
    """Calls for each request that ended."""
    records = retried[where, how].records[policy]
    return interval_of([r.metrics["calls"] / (r.completed + r.lost + r.timed_out) for r in records])


def fate(where: str, how: str, policy: str) -> list[str]:
    lost = said(retried, (where, how), "lost", policy)
    rest = (
        said(retried, (where, how), name, policy) for name in ("throughput_per_s", "sojourn_mean_s", "sojourn_p99_s")
    )
    return [f"{where}: {how}", f"`{policy}`", lost, worded(calls(where, how, policy), "number"), *rest]


display(
    Markdown(
        markdown_table(
            ["", "strategy", "requests lost", "calls", "answers/s", "mean time", "p99 time"],
            [fate(where, how, policy) for where in WORKLOADS for how in RETRIES for policy in SOME],
        )
    )
)

# %%
none, anywhere, elsewhere = RETRIES


def saved(where: str) -> str:
    before, without, left = (retried.metric((where, how), "lost", "fifo") for how in (none, anywhere, elsewhere))
    return (
        f"{where}: {worded(before, 'part')} of the requests are lost without retries, {worded(without, 'part')} "
        f"with retries anywhere and {worded(left, 'part')} with retries elsewhere, which cost "
        f"{worded(calls(where, elsewhere, 'fifo'), 'number')} calls a request"
    )


def slower(where: str) -> str:
    more = retried.difference((where, elsewhere), (where, "all sound"), "sojourn_mean_s", "fifo")
    base = retried.metric((where, "all sound"), "sojourn_mean_s", "fifo").mean
    return worded_difference(more, base, "s") if more.is_clear else "nothing that can be told from 0"


display(
    Markdown(
        f"Under `fifo`, {saved(busy_open)}; and {saved(busy_closed)}. Compared with {SOUND + 1} sound endpoints, an "
        f"answer with retries elsewhere takes {slower(busy_open)} ({busy_open}) and {slower(busy_closed)} "
        f"({busy_closed}): the work of {SOUND + 1} is done by {SOUND}."
    )
)

# %% [markdown]
# ## The slow one
#
# For half of the time, calls that begin on it take ten times as long. Nothing fails, so retries have nothing to do.
# Endpoints have four slots each here: strategies differ in how many calls they leave with an endpoint that is slow.

# %%
SLOW: list[Fault] = [SlowWithin(from_s=0.25 * HORIZON_S, to_s=0.75 * HORIZON_S, factor=10.0)]
CASES: dict[str, list[Fault]] = {"sound": [], "slow": SLOW}
SLOW_LOAD, SLOTS = 0.5, 4

with StudyProgress() as progress:
    slowed = run_sweep(
        {name: cluster(at(SLOW_LOAD * SLOTS), faults, slots=SLOTS) for name, faults in CASES.items()},
        STRATEGIES,
        jobs=JOBS,
        progress=progress,
    )
show(tails(slowed["slow"], "sojourn"))
show(ranking(slowed["slow"], "sojourn_p99_s"))

# %%
display(
    Markdown(
        markdown_table(
            ["strategy", "mean, all sound", "mean, one slow", "p99, all sound", "p99, one slow"],
            [
                [f"`{p}`", *(said(slowed, c, name, p) for name in ("sojourn_mean_s", "sojourn_p99_s") for c in CASES)]
                for p in STRATEGIES
            ],
        )
        + f"\n\nThe shortest tail (p99) with a slow one: {best_in_words(slowed['slow'], 'sojourn_p99_s')}; the "
        f"shortest mean: {best_in_words(slowed['slow'], 'sojourn_mean_s')}."
    )
)

# %% [markdown]
# ## The flapping one
#
# It is up for a minute and down for 15 s, on average. A crash fails the call under way; while it is down it refuses
# calls after 10 ms: a black hole for a while. After a repair it is cold: calls take three times as long, and that falls
# to normal over 20 s.

# %%
FLAPPING: list[Fault] = [CrashRepair(mtbf_s=60.0, mttr_s=15.0)]
COLD: list[Fault] = [*FLAPPING, Warmup(window_s=20.0, factor=3.0)]
FLAPS = {
    ("cold", none): cluster(at(LOAD), COLD, attempts=1),
    ("cold", elsewhere): cluster(at(LOAD), COLD, attempts=3),
    ("warm", elsewhere): cluster(at(LOAD), FLAPPING, attempts=3),
}

with StudyProgress() as progress:
    flaps = run_sweep(FLAPS, STRATEGIES, jobs=JOBS, progress=progress)


def warming(policy: str) -> Interval:
    return flaps.difference(("cold", elsewhere), ("warm", elsewhere), "sojourn_mean_s", policy)


def flap_row(policy: str) -> list[str]:
    base = flaps.metric(("warm", elsewhere), "sojourn_mean_s", policy).mean
    return [
        f"`{policy}`",
        said(flaps, ("cold", none), "failed_calls", policy),
        said(flaps, ("cold", none), "lost", policy),
        said(flaps, ("cold", elsewhere), "lost", policy),
        said(flaps, ("cold", elsewhere), "sojourn_p99_s", policy),
        worded_difference(warming(policy), base, "s") if warming(policy).is_clear else "not distinguishable from 0",
    ]


display(
    Markdown(
        markdown_table(
            [
                "strategy",
                "failed calls",
                "lost, no retry",
                "lost, retries elsewhere",
                "p99 time",
                "mean, for warming up",
            ],
            [flap_row(policy) for policy in STRATEGIES],
        )
        + f"\n\nFewest failed calls: {best_in_words(flaps['cold', none], 'failed_calls')}."
    )
)

# %% [markdown]
# ## Draining it by hand
#
# Somebody sees the failures and drains the black hole: `pool.drain(url)`. How much does it matter when? All requests
# are counted from the start, with the open workload and no retries.

# %%
WHEN = tuple(part * HORIZON_S for part in (0.0, 0.1, 0.25, 0.5, 0.75))


def drained(at_s: float | None, attempts: int) -> Scenario:
    changes = [] if at_s is None else [Change(at_s=at_s, do="drain", url=BAD)]
    return cluster(at(LOAD), BLACK_HOLE, attempts=attempts, changes=changes, warm=False)


with StudyProgress() as progress:
    drains = run_sweep(
        {(at_s, attempts): drained(at_s, attempts) for at_s in (*WHEN, None) for attempts in (1, 3)},
        SOME,
        jobs=JOBS,
        progress=progress,
    )

by_instant = {
    policy: {
        **{at_s: drains.metric((at_s, 1), "lost", policy) for at_s in WHEN},
        HORIZON_S: drains.metric((None, 1), "lost", policy),
    }
    for policy in SOME
}
show(
    trend(
        by_instant,
        "lost",
        xlabel="when it was drained (s; the last point: never)",
        title="Lost by the time of the drain",
    )
)

# %%
per_minute = {
    policy: interval_of([60 * record.lost / record.measured_s for record in drains[None, 1].records[policy]])
    for policy in SOME
}
display(
    Markdown(
        markdown_table(
            [
                "strategy",
                "lost a minute until it is drained, no retries",
                "failed calls, never drained",
                "drained at once",
                "mean time with retries, never drained",
                "drained at once",
            ],
            [
                [
                    f"`{policy}`",
                    worded(per_minute[policy], "number"),
                    said(drains, (None, 1), "failed_calls", policy),
                    said(drains, (WHEN[0], 1), "failed_calls", policy),
                    said(drains, (None, 3), "sojourn_mean_s", policy),
                    said(drains, (WHEN[0], 3), "sojourn_mean_s", policy),
                ]
                for policy in SOME
            ],
        )
    )
)


# %%
def spared(policy: str) -> str:
    found = drains.difference((None, 3), (WHEN[0], 3), "sojourn_mean_s", policy)
    return f"under `{policy}` {worded(found, 's') if found.is_clear else 'nothing that can be told from 0'}"


display(
    Markdown(
        "With retries elsewhere, what an undrained black hole still costs is time: "
        + "; ".join(spared(policy) for policy in SOME)
        + ", on average over all requests."
    )
)

# %% [markdown]
# ## Answer

# %%
fewest = min(SOME, key=lambda policy: per_minute[policy].mean)
best_tail = slowed["slow"].ranking("sojourn_p99_s")[0]
display(
    Markdown(
        f"- **No strategy alone protects us from an endpoint that fails at once.** With as many callers as slots it "
        f"takes {between(taken)} of all calls under every strategy. With a slot to spare the least goes to it under "
        f"{best_in_words(holes[spare], 'failed_calls')}. Ejection, which would take it out of service, is not in the "
        "pool yet.\n"
        f"- **Retry, with exclusion.** On the open workload, under `fifo`, that cuts the requests lost from "
        f"{said(retried, (busy_open, none), 'lost', 'fifo')} to "
        f"{said(retried, (busy_open, elsewhere), 'lost', 'fifo')}, for "
        f"{worded(calls(busy_open, elsewhere, 'fifo'), 'number')} calls a request; without exclusion "
        f"{said(retried, (busy_open, anywhere), 'lost', 'fifo')} stay lost.\n"
        f"- **Drain a black hole as soon as it is seen.** Without retries every minute of this load costs "
        f"{worded(per_minute['fifo'], 'number')} requests under `fifo` and {worded(per_minute[fewest], 'number')} "
        f"under `{fewest}`. It does no work, so nothing is lost with it.\n"
        f"- **A slow endpoint** is a matter of the tail. The shortest 99th percentile is that of "
        f"{best_in_words(slowed['slow'], 'sojourn_p99_s')}; with all endpoints sound `{best_tail}` has "
        f"{said(slowed, 'sound', 'sojourn_p99_s', best_tail)}.\n"
        f"- **A flapping endpoint** loses {said(flaps, ('cold', none), 'lost', 'fifo')} of the requests under `fifo` "
        f"without retries, and {said(flaps, ('cold', elsewhere), 'lost', 'fifo')} with retries elsewhere. Fewest calls "
        f"fail under {best_in_words(flaps['cold', none], 'failed_calls')}.\n"
    )
)
