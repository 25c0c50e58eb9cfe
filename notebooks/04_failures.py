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
# One server fails at once, is slow, comes and goes, or gets more than it can take: what does that cost us, and what
# protects us?
#
# Most of it is tried on four endpoints of which the last is the bad one, each time without the pool's protection and
# with it. A strategy chooses among endpoints; [health and limits](../docs/health.md), around any strategy, say which
# ones there are to choose from. Four strategies stand for all here, by what they know of an endpoint: `fifo` nothing,
# `least_in_flight` how many calls it has, `peak_ewma` also how long they take, `weighted_health` how long they take and
# how many fail.

# %%
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from balancer_simulator import (
    Arrivals,
    Change,
    Closed,
    CrashRepair,
    EndpointModel,
    FailWithin,
    Host,
    Interval,
    Kind,
    Lognormal,
    Poisson,
    Policy,
    Record,
    Requests,
    Scenario,
    SlowWithin,
    Study,
    StudyProgress,
    Sweep,
    run_study,
    run_sweep,
    simulate_once,
)
from balancer_simulator.report.charts import ranking, tails, trend, utilisation
from balancer_simulator.report.markdown import best_in_words
from balancer_simulator.report.notebook import say, show, table
from balancer_simulator.scenario.endpoints import Fault
from balancer_simulator.scenario.workload import Workload
from balancer_simulator.studies.figures import figure_of, worded, worded_difference
from balancer_simulator.studies.intervals import interval_of

from balancer.settings.rules import HealthSettings, LimitSettings, RetrySettings

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, CLOSED_S, REPLICATIONS = (200.0, 60.0, 3) if SHORT else (1200.0, 600.0, 5)
JOBS = 1 if SHORT or "__file__" in globals() else None  # processes; None: one a core, which a plain script cannot have

STRATEGIES = ("fifo", "least_in_flight", "peak_ewma", "weighted_health")
ONE = "least_in_flight"  # where the strategy is not the question
SOUND = 3  # endpoints, beside the bad one
BAD = "http://bad/"
EJECTION, BUDGET = HealthSettings(), RetrySettings()  # the defaults


# %%
def cluster(workload: Workload, faults: list[Fault], *, slots: int = 1, horizon_s: float = HORIZON_S) -> Scenario:
    """Sound endpoints and one with faults; each request is one call, of 1 s on average."""
    return Scenario(
        workload=workload,
        endpoints=[
            EndpointModel(url=f"http://sound-{{1..{SOUND}}}/", capacity=slots),
            EndpointModel(url=BAD, capacity=slots, faults=faults),
        ],
        requests=Requests(attempts=1),
        horizon_s=horizon_s,
        warmup_s=0.0,  # what it costs to find a fault out is at the start
        replications=REPLICATIONS,
        health=None,
    )


def at(load: float, slots: int = 1) -> Poisson:
    """Requests at random; `load` is the part of what the sound endpoints can do."""
    return Poisson(rate_per_s=load * SOUND * slots)


def run(scenarios: Mapping[Hashable, Scenario], strategies: Sequence[str] = (ONE,)) -> Sweep[Hashable]:
    with StudyProgress() as progress:
        return run_sweep(scenarios, strategies, jobs=JOBS, progress=progress)


def said(runs: Sweep[Hashable], key: Hashable, name: str, policy: str = ONE) -> str:
    return worded(runs.metric(key, name, policy), figure_of(name).unit)


def calls(runs: Sweep[Hashable], key: Hashable, policy: str = ONE) -> Interval:
    """Calls for each request."""
    return interval_of([record.metrics["calls"] / record.arrived for record in runs[key].records[policy]])


def share(runs: Sweep[Hashable], key: Hashable, url: str, policy: str = ONE) -> Interval:
    """The part of all calls that an endpoint has."""
    return interval_of([record.shares[url] for record in runs[key].records[policy]])


def beside(name: str, runs: Sweep[str], policy: str = ONE) -> Study:
    """The scenarios of a sweep as if each were a policy, to be ranked and drawn."""
    scenario = next(iter(runs.studies.values())).scenario.changed(name=name)
    return Study(scenario, {key: study.records[policy] for key, study in runs.studies.items()})


def between(parts: Iterable[float]) -> str:
    found = list(parts)
    return " to ".join(dict.fromkeys(f"{part:.1%}" for part in (min(found), max(found))))


# %% [markdown]
# ## The black hole: how many calls does an endpoint get that fails at once?
#
# It fails every call after 10 ms, without any work, so it is free again at once. First with callers that never pause,
# each with one call at a time, on endpoints with one slot; no retries. Only the black hole fails calls, so "failed
# calls" is the part of all calls that it takes.

# %%
BLACK_HOLE: list[Fault] = [FailWithin(after_s=0.01)]
CALLERS = range(1, SOUND + 2)
PROTECTION = {"no ejection": None, "ejection": EJECTION}
unprotected, protected = PROTECTION

holes = run(
    {
        (callers, how): cluster(Closed(workers=callers), BLACK_HOLE, horizon_s=CLOSED_S).changed(health=health)
        for callers in CALLERS
        for how, health in PROTECTION.items()
    },
    STRATEGIES,
)


def by_callers(how: str, policy: str) -> dict[float, Interval]:
    return {float(callers): holes.metric((callers, how), "failed_calls", policy) for callers in CALLERS}


show(
    trend(
        {
            **{policy: by_callers(unprotected, policy) for policy in STRATEGIES},
            f"{ONE}, {protected}": by_callers(protected, ONE),
        },
        "failed_calls",
        xlabel=f"callers, on {SOUND + 1} slots",
        title="What the black hole takes",
    )
)
table(
    ["part of all calls", *(f"{callers} caller{'s' * (callers > 1)}" for callers in CALLERS)],
    [
        [f"`{policy}`, {how}", *(said(holes, (callers, how), "failed_calls", policy) for callers in CALLERS)]
        for how in PROTECTION
        for policy in STRATEGIES
    ],
)

# %%
full, spare = CALLERS[-1], CALLERS[-2]
without, left = (
    [holes.metric((full, how), "failed_calls", policy).mean for policy in STRATEGIES] for how in PROTECTION
)
say(
    f"With as many callers as slots ({full}) the black hole takes {between(without)} of all calls, whatever the "
    f"strategy; with ejection {between(left)}. With a slot to spare ({spare} callers) and no ejection it takes "
    f"{said(holes, (spare, unprotected), 'failed_calls', 'fifo')} under `fifo`, "
    f"{said(holes, (spare, unprotected), 'failed_calls', ONE)} under `{ONE}` and "
    f"{said(holes, (spare, unprotected), 'failed_calls', 'weighted_health')} under `weighted_health`; the least under "
    f"{best_in_words(holes[spare, unprotected], 'failed_calls')}."
)

# %% [markdown]
# A strategy chooses among *free* slots. When all others are busy the only free one is that of the black hole, which has
# just failed again: then only taking it out of service helps. Below that point a strategy that learns from what it sees
# helps itself.
#
# ## Retries: does a failed call become a failed request?
#
# Requests come at random. A request that failed is called again, elsewhere while another endpoint will do.
# "Calls" is what a request costs. The last rows are the best
# that an operator could do: to drain the black hole before the first request comes.

# %%
LOAD = 0.6
RETRIES = {
    "no retry": Requests(attempts=1),
    "3 attempts": Requests(attempts=3),
}
none, elsewhere = RETRIES
DRAINED = "drained from the start"
LEAST_AND_MOST = ("fifo", "weighted_health")  # by what they know
AT_RANDOM = cluster(at(LOAD), BLACK_HOLE)

retried = run(
    {
        **{
            (how, when): AT_RANDOM.changed(requests=requests, health=health)
            for how, requests in RETRIES.items()
            for when, health in PROTECTION.items()
        },
        (none, DRAINED): AT_RANDOM.changed(changes=[Change(at_s=0.0, do="drain", url=BAD)]),
    },
    LEAST_AND_MOST,
)
table(
    ["", "strategy", "failed calls", "requests lost", "calls", "mean time", "p99 time"],
    [
        [
            f"{how}, {when}",
            f"`{policy}`",
            *(said(retried, (how, when), name, policy) for name in ("failed_calls", "lost")),
            worded(calls(retried, (how, when), policy), "number"),
            *(said(retried, (how, when), name, policy) for name in ("sojourn_mean_s", "sojourn_p99_s")),
        ]
        for how, when in retried.studies
        for policy in LEAST_AND_MOST
    ],
)


# %%
def more_words(difference: Interval, base: float, unit: str = "s") -> str:
    return worded_difference(difference, base, unit) if difference.is_clear else "nothing that can be told from 0"


def saved_by_retries(when: str) -> str:
    return (
        f"{said(retried, (none, when), 'lost', 'fifo')} of the requests without retries and "
        f"{said(retried, (elsewhere, when), 'lost', 'fifo')} with retries, which cost "
        f"{worded(calls(retried, (elsewhere, when), 'fifo'), 'number')} calls a request"
    )


undrained = retried.difference((elsewhere, protected), (none, DRAINED), "sojourn_mean_s", "fifo")
say(
    f"Under `fifo` and with {unprotected} we lose {saved_by_retries(unprotected)}. With {protected} we lose "
    f"{saved_by_retries(protected)}. Beside an operator who drained it before the start, {protected} with retries "
    "costs in mean time: "
    f"{more_words(undrained, retried.metric((none, DRAINED), 'sojourn_mean_s', 'fifo').mean)}."
)

# %% [markdown]
# ## An outage of all four: do retries make a storm of it?
#
# Many short calls, which come evenly, on endpoints of four slots. For a while all four fail every call at once. Callers try
# four times; who waits for an endpoint gives up after 5 s.

# %%
OUTAGE_FROM_S, OUTAGE_TO_S, OUTAGE_END_S = 20, 40, 120
RATE_PER_S, ATTEMPTS = 60.0, 4
OUTAGE = Scenario(
    workload=Arrivals(at_s=[(n + 0.5) / RATE_PER_S for n in range(int(RATE_PER_S * OUTAGE_END_S))]),
    work=Lognormal(mean_s=0.1, cv=1.0),
    endpoints=[
        EndpointModel(
            url=f"http://10.0.0.{{1..{SOUND + 1}}}/",
            capacity=4,
            faults=[FailWithin(from_s=OUTAGE_FROM_S, to_s=OUTAGE_TO_S, after_s=0.01)],
        )
    ],
    requests=Requests(attempts=ATTEMPTS, kinds=[Kind(acquire_timeout_s=5.0)]),
    horizon_s=OUTAGE_END_S,
    warmup_s=0.0,
    replications=REPLICATIONS,
    health=None,
)
UNLIMITED = RetrySettings(budget_ratio=10.0)
OUTAGES = {
    "no budget": OUTAGE.changed(retries=UNLIMITED),
    "a retry budget": OUTAGE.changed(retries=BUDGET),
    "a retry budget and ejection": OUTAGE.changed(retries=BUDGET, health=EJECTION),
}
storm, budgeted, best_protected = OUTAGES
EVERY_CALL = 1_000_000

outages: dict[str, list[Record]] = {
    how: [simulate_once(scenario, Policy(strategy=ONE), n, spans=EVERY_CALL) for n in range(REPLICATIONS)]
    for how, scenario in OUTAGES.items()
}


def calls_by_second(records: Sequence[Record]) -> dict[float, Interval]:
    """Calls begun in each second but the last, in which not all have ended."""
    counts = [Counter(int(span.started_s) for span in record.spans) for record in records]
    return {float(second): interval_of([count[second] for count in counts]) for second in range(OUTAGE_END_S - 1)}


show(
    trend(
        {how: calls_by_second(records) for how, records in outages.items()},
        "calls",
        xlabel=f"time (s); all fail from {OUTAGE_FROM_S} s to {OUTAGE_TO_S} s",
        title="Calls in each second, in an outage of all endpoints",
    )
)


# %%
def failed_per_s(how: str) -> Interval:
    """Calls that fail, a second of the outage."""
    lasts_s = OUTAGE_TO_S - OUTAGE_FROM_S
    return interval_of([sum(not span.ok for span in record.spans) / lasts_s for record in outages[how]])


def answers_again_s(record: Record) -> dict[str, float]:
    """For each endpoint, when the first call begins that it answers after the outage, from its end (s); at most the end."""
    found = dict.fromkeys(record.shares, float(OUTAGE_END_S - OUTAGE_TO_S))
    for span in record.spans:
        if span.ok and span.started_s >= OUTAGE_TO_S:
            found[span.url] = min(found[span.url], span.started_s - OUTAGE_TO_S)
    return found


def first_s(how: str) -> Interval:
    return interval_of([min(answers_again_s(record).values()) for record in outages[how]])


def all_s(how: str) -> Interval:
    return interval_of([max(answers_again_s(record).values()) for record in outages[how]])


table(
    [
        f"{RATE_PER_S:g} requests a second",
        "failed calls a second of the outage",
        "requests lost",
        "first good call after the outage",
        "all four serve again after",
    ],
    [
        [
            how,
            worded(failed_per_s(how), "number"),
            worded(interval_of([record.metrics["lost"] for record in records]), "part"),
            worded(first_s(how), "s"),
            worded(all_s(how), "s"),
        ]
        for how, records in outages.items()
    ],
)
allowed = RATE_PER_S * (1 + BUDGET.budget_ratio) + BUDGET.budget_per_s
say(
    f"Callers who try {ATTEMPTS} times make {failed_per_s(storm).mean / RATE_PER_S:.1f} calls for each request in the "
    f"outage. The budget allows retries for {BUDGET.budget_ratio:.0%} of the requests and {BUDGET.budget_per_s:g} a second "
    f"on top, so {allowed:g} calls a second; there were {worded(failed_per_s(budgeted), 'number')}, with ejection "
    f"{worded(failed_per_s(best_protected), 'number')}. It is counted over {BUDGET.budget_window_s:g} s, so what has been "
    "saved is spent when the outage begins, and again when that is forgotten.\n\n"
    f"Ejection has nothing to offer when all are down. At most {EJECTION.max_ejected_share:.0%} of the endpoints are ejected, "
    f"so the others are asked all the time, and the first good call begins {worded(first_s(best_protected), 's')} after the "
    f"outage, far sooner than a cooldown of {EJECTION.cooldown_s:g} s. All four serve again after "
    f"{worded(all_s(best_protected), 's')}: a probe that fails while the others fail as well says nothing of its "
    f"endpoint, and makes no cooldown longer."
)

# %% [markdown]
# ## The slow one: which strategy notices?
#
# For half of the time, calls that begin on it take ten times as long. Nothing fails, so ejection and retries have
# nothing to do. Endpoints have four slots each: strategies differ in how many calls they leave with an endpoint that is
# slow.

# %%
SLOTS, SLOW_LOAD = 4, 0.5
SLOW: list[Fault] = [SlowWithin(from_s=0.25 * HORIZON_S, to_s=0.75 * HORIZON_S, factor=10.0)]
slowed = run(
    {
        name: cluster(at(SLOW_LOAD, SLOTS), faults, slots=SLOTS).changed(name=f"{name} for long")
        for name, faults in {"sound": [], "slow": SLOW}.items()
    },
    STRATEGIES,
)
show(ranking(slowed["slow"], "sojourn_p99_s"))
table(
    ["strategy", "mean, all sound", "mean, one slow", "p99, all sound", "p99, one slow", "calls to the slow one"],
    [
        [
            f"`{policy}`",
            *(
                said(slowed, case, name, policy)
                for name in ("sojourn_mean_s", "sojourn_p99_s")
                for case in slowed.studies
            ),
            worded(share(slowed, "slow", BAD, policy), "part"),
        ]
        for policy in STRATEGIES
    ],
)
say(
    f"The shortest tail (p99) with a slow one: {best_in_words(slowed['slow'], 'sojourn_p99_s')}; the shortest mean: "
    f"{best_in_words(slowed['slow'], 'sojourn_mean_s')}."
)

# %% [markdown]
# ## Slow now and then: does a second call help?
#
# Now it is slow for 20 s of every 80. A call that takes longer than most is made a second time, elsewhere, and the first
# answer counts (*hedging*). Calls differ less in length here, so that a long one tells something.
# The budget is that of retries, here 20% of the requests and nothing on top.

# %%
PER_REQUEST = RetrySettings(budget_per_s=0.0)
SPELLS: list[Fault] = [SlowWithin(from_s=s, to_s=s + 20.0, factor=10.0) for s in range(40, int(HORIZON_S), 80)]
MOODY = cluster(at(SLOW_LOAD, SLOTS), SPELLS, slots=SLOTS).changed(work=Lognormal(mean_s=1.0, cv=0.5))
AFTER_S = (1.0, 1.5, 2.0, 3.0, 5.0)
hedged = run(
    {
        "no hedging": MOODY,
        **{
            f"after {s:g} s": MOODY.changed(requests=Requests(attempts=1, hedge_after_s=s), retries=PER_REQUEST)
            for s in AFTER_S
        },
    }
)
hedging = beside("hedging", hedged)
show(tails(hedging, "sojourn"))
table(
    ["a second call", "calls a request", "slots in use", "mean time", "p90 time", "p99 time"],
    [
        [
            how,
            worded(calls(hedged, how), "number"),
            *(said(hedged, how, n) for n in ("utilisation", "sojourn_mean_s", "sojourn_p90_s", "sojourn_p99_s")),
        ]
        for how in hedged.studies
    ],
)

# %%
UNHEDGED = next(iter(hedged.studies))
hasty, cheap = (f"after {s:g} s" for s in (AFTER_S[0], AFTER_S[-2]))
best_hedge = hedging.best("sojourn_p99_s")[0]
say(
    f"The shortest p99: {best_in_words(hedging, 'sojourn_p99_s')}, against {said(hedged, UNHEDGED, 'sojourn_p99_s')} "
    f"without hedging, for {worded(calls(hedged, best_hedge), 'number')} calls a request. With "
    f"{worded(calls(hedged, cheap), 'number')} calls a request, `{cheap}`, it is {said(hedged, cheap, 'sojourn_p99_s')}. "
    f"The budget allows no more than {1 + PER_REQUEST.budget_ratio:g}: `{hasty}` spends it on calls that are not slow, has "
    f"{worded(calls(hedged, hasty), 'number')} calls a request and a p99 of {said(hedged, hasty, 'sojourn_p99_s')}."
)

# %% [markdown]
# ## The flapping one: when may it come back?
#
# It is up for a minute and down for 15 s, on average. A crash fails the calls under way; while it is down it refuses
# calls after 10 ms: a black hole for a while. Retries go elsewhere, within the budget.
#
# An ejected endpoint comes back when a probe succeeds after its cooldown. Each probe that fails makes the next cooldown
# longer (*back-off*), up to `max_cooldown_s`; once it is back, its weight grows slowly (*slow start*), which `fifo` does
# not look at and `least_in_flight` does.

# %%
FLAPPING: list[Fault] = [CrashRepair(mtbf_s=60.0, mttr_s=15.0)]
COOLDOWN_S, BACK_OFF_S, SLOW_START_S = EJECTION.cooldown_s, 30.0, 30.0
RETURNS = {
    unprotected: None,
    f"cooldowns of {COOLDOWN_S:g} s": HealthSettings(max_cooldown_s=COOLDOWN_S, slow_start_s=0.0),
    f"cooldowns of {COOLDOWN_S:g} s, slow start": HealthSettings(max_cooldown_s=COOLDOWN_S, slow_start_s=SLOW_START_S),
    f"back-off to {BACK_OFF_S:g} s": HealthSettings(max_cooldown_s=BACK_OFF_S, slow_start_s=0.0),
    f"back-off to {BACK_OFF_S:g} s, slow start": HealthSettings(max_cooldown_s=BACK_OFF_S, slow_start_s=SLOW_START_S),
    "the defaults": EJECTION,
}
_, always, eased, backed_off, both, defaults = RETURNS
FLAP_LOADS = (0.6, 0.9)
calm, busy = FLAP_LOADS


def flapping(load: float, health: HealthSettings | None) -> Scenario:
    return cluster(at(load, SLOTS), FLAPPING, slots=SLOTS).changed(
        work=Lognormal(mean_s=1.0, cv=0.5), requests=Requests(attempts=3), retries=BUDGET, health=health
    )


flaps = run({(load, how): flapping(load, health) for load in FLAP_LOADS for how, health in RETURNS.items()})
for load in FLAP_LOADS:
    table(
        [f"load {load:g}", "failed calls", "calls to it", "mean time", "p99 time"],
        [
            [
                how,
                said(flaps, (load, how), "failed_calls"),
                worded(share(flaps, (load, how), BAD), "part"),
                said(flaps, (load, how), "sojourn_mean_s"),
                said(flaps, (load, how), "sojourn_p99_s"),
            ]
            for how in RETURNS
        ],
    )

# %%
for how in (unprotected, both):
    seen = flapping(calm, RETURNS[how]).changed(name=how, replications=1, horizon_s=min(300.0, HORIZON_S))
    show(utilisation(run_study(seen, [Policy(strategy=ONE, label=how)]), how))


# %%
def changed_by(load: float, how: str, other: str, name: str) -> str:
    return more_words(flaps.difference((load, how), (load, other), name), flaps.metric((load, other), name).mean)


say(
    f"At load {calm:g}, cooldowns of {COOLDOWN_S:g} s leave {said(flaps, (calm, always), 'failed_calls')} of the calls to fail "
    f"instead of {said(flaps, (calm, unprotected), 'failed_calls')}; with back-off to {BACK_OFF_S:g} s it is "
    f"{said(flaps, (calm, backed_off), 'failed_calls')}, with the defaults (back-off to {EJECTION.max_cooldown_s:g} s, slow "
    f"start of {EJECTION.slow_start_s:g} s) {said(flaps, (calm, defaults), 'failed_calls')}. A slow start of "
    f"{SLOW_START_S:g} s changes the p99 by {changed_by(calm, eased, always, 'sojourn_p99_s')} without back-off, and by "
    f"{changed_by(calm, both, backed_off, 'sojourn_p99_s')} with back-off to {BACK_OFF_S:g} s.\n\n"
    f"Back-off has a price: an endpoint that is down for a while has failed some probes by then, and the next one may come "
    f"long after its repair. With the defaults this one gets {worded(share(flaps, (calm, defaults), BAD), 'part')} of the "
    f"calls, with back-off to {BACK_OFF_S:g} s and slow start {worded(share(flaps, (calm, both), BAD), 'part')}. At load "
    f"{busy:g}, where its slots are needed, the defaults cost in mean time, beside that: "
    f"{changed_by(busy, defaults, both, 'sojourn_mean_s')}."
)

# %% [markdown]
# ## Overload: what if a server does less than its capacity says?
#
# The config says 8 slots for each of four servers; in truth each works on 2 calls at once. Some refuse what is more than
# 3, at once; others take everything and let it queue inside, until the caller gives up after 5 s. With `kind = "aimd"` the
# pool finds the limit by itself; without, it has what the config says.

# %%
LIMITS = {"fixed": None, "aimd": LimitSettings(kind="aimd")}
TRUE_CALLS = 2
INSIDE = {"they refuse": 3, "they let it queue": None}
refusing, queueing = INSIDE
TRUE_LOAD, LIGHTER = 0.85, 0.75  # of what the servers can do in truth


def narrow(
    refuse_beyond: int | None, limits: LimitSettings | None, health: HealthSettings | None, load: float = TRUE_LOAD
) -> Scenario:
    return Scenario(
        workload=Poisson(rate_per_s=load * TRUE_CALLS * (SOUND + 1)),
        work=Lognormal(mean_s=1.0, cv=1.0),
        endpoints=[
            EndpointModel(
                url=f"http://10.0.0.{{1..{SOUND + 1}}}/", capacity=8, parallel=TRUE_CALLS, refuse_beyond=refuse_beyond
            )
        ],
        requests=Requests(attempts=3, call_timeout_s=5.0),
        limits=limits,
        health=health,
        retries=BUDGET,
        horizon_s=HORIZON_S,
        warmup_s=HORIZON_S / 20,
        replications=REPLICATIONS,
    )


limited = run(
    {
        (where, how, limit): narrow(refuse_beyond, limits, health)
        for where, refuse_beyond in INSIDE.items()
        for how, health in PROTECTION.items()
        for limit, limits in LIMITS.items()
    }
)


lighter = run({limit: narrow(INSIDE[queueing], limits, None, LIGHTER) for limit, limits in LIMITS.items()})


def keeping_up(runs: Sweep[Hashable], key: Hashable) -> str:
    study = runs[key]
    return "yes" if study.keeps_up(ONE) else f"no: {study.unfinished(ONE):.0%} unfinished"


LIMITED_FIGURES = ("failed_calls", "lost", "throughput_per_s", "sojourn_mean_s", "sojourn_p99_s")
table(
    ["", "failed calls", "requests lost", "answers/s", "mean time", "p99 time", "keeps up"],
    [
        [", ".join(key), *(said(limited, key, name) for name in LIMITED_FIGURES), keeping_up(limited, key)]
        for key in limited.studies
    ],
)


# %%
def limits_words(where: str, how: str) -> str:
    fixed, aimd = ((where, how, limit) for limit in LIMITS)
    return (
        f"with fixed limits {said(limited, fixed, 'failed_calls')} of the calls fail and {said(limited, fixed, 'lost')} of "
        f"the requests are lost, with AIMD {said(limited, aimd, 'failed_calls')} and {said(limited, aimd, 'lost')}"
    )


fixed_key, aimd_key = ((refusing, protected, limit) for limit in LIMITS)
lighter_lost = lighter.difference("aimd", "fixed", "lost")
longer = limited.difference((refusing, unprotected, "aimd"), (refusing, unprotected, "fixed"), "sojourn_mean_s")
say(
    f"No ejection. Servers that refuse: {limits_words(refusing, unprotected)}; requests that would have been lost wait instead "
    f"(mean time: {more_words(longer, limited.metric((refusing, unprotected, 'fixed'), 'sojourn_mean_s').mean)}). Servers "
    f"that queue: {limits_words(queueing, unprotected)}. At a load of {LIGHTER:g} instead of {TRUE_LOAD:g}, "
    f"what AIMD changes in the requests lost by servers that queue is "
    f"{more_words(lighter_lost, lighter.metric('fixed', 'lost').mean, 'part')}.\n\n"
    f"Ejection does not replace limits where all are overloaded. A refusal does not count against a server while half of the "
    f"others refuse as well, else some would be taken out and the rest get still more. With fixed limits "
    f"{said(limited, fixed_key, 'throughput_per_s')} requests a second are answered with ejection and "
    f"{said(limited, (refusing, unprotected, 'fixed'), 'throughput_per_s')} without; with AIMD "
    f"{said(limited, aimd_key, 'throughput_per_s')} with ejection."
)

# %% [markdown]
# ## Ports that share a machine: how many calls may it have?
#
# Two machines of two cores, with four ports each: eight slots, four cores. Calls share the cores, and a call has a time
# limit of 4 s that does not know why it is slow: what it cuts off is a wrong verdict. `host_caps` says how many slots of a
# machine may be in use at once, whatever its ports allow.

# %%
PORTS, CORES, LIMIT_S = 4, 2, 4.0
CAPS = range(1, PORTS + 1)
MACHINES = "10.0.0.{1..2}"
shared = run(
    {
        cap: Scenario(
            workload=Poisson(rate_per_s=0.8 * 2 * CORES),
            work=Lognormal(mean_s=1.0, cv=1.0),
            endpoints=[EndpointModel(url=f"http://{MACHINES}:{{8080..{8079 + PORTS}}}/")],
            hosts={MACHINES: Host(cores=CORES)},
            requests=Requests(attempts=1, call_timeout_s=LIMIT_S),
            host_caps={} if cap == PORTS else {"*": cap},
            health=None,
            horizon_s=HORIZON_S / 2,
            warmup_s=HORIZON_S / 20,
            replications=REPLICATIONS,
        )
        for cap in CAPS
    }
)
kept_up = [cap for cap in CAPS if shared[cap].keeps_up(ONE)]
show(
    trend(
        {f"time limit {LIMIT_S:g} s": {float(cap): shared.metric(cap, "lost") for cap in CAPS}},
        "lost",
        xlabel=f"calls at once on a machine of {CORES} cores and {PORTS} ports",
        title="Calls cut off at their time limit, by host cap",
    )
)
table(
    ["calls at once on a machine", "cut off", "answers/s", "mean wait", "mean time", "p99 time", "unfinished"],
    [
        [
            f"{cap}, as many as ports: no cap" if cap == PORTS else f"{cap}",
            *(
                said(shared, cap, name)
                for name in (
                    "lost",
                    "throughput_per_s",
                    "wait_mean_s",
                    "sojourn_mean_s",
                    "sojourn_p99_s",
                    "unfinished",
                )
            ),
        ]
        for cap in CAPS
    ],
)

# %%
too_few = [cap for cap in CAPS if cap not in kept_up]
say(
    f"Without a cap {said(shared, PORTS, 'lost')} of the calls are cut off; with as many as cores ({CORES}) "
    f"{said(shared, CORES, 'lost')}, which is what is too long on a core of its own. The mean time changes by "
    f"{more_words(shared.difference(CORES, PORTS, 'sojourn_mean_s'), shared.metric(PORTS, 'sojourn_mean_s').mean)}: a call "
    "that used to be slow in company, or cut off, now waits its turn. "
    + (f"With {', '.join(map(str, too_few))} the machines cannot keep up." if too_few else "All of these keep up.")
)

# %% [markdown]
# ## Answer

# %%
held_back = flaps.difference((busy, defaults), (busy, both), "sojourn_mean_s")
ADVICE = (
    f"Where its slots are needed, let it come back sooner: at load {busy:g} the mean time is "
    f"{said(flaps, (busy, both), 'sojourn_mean_s')} with `max_cooldown_s = {BACK_OFF_S:g}` and `slow_start_s = "
    f"{SLOW_START_S:g}`, and {said(flaps, (busy, defaults), 'sojourn_mean_s')} with the defaults."
    if held_back.low > 0
    else f"At load {busy:g} it makes no difference that can be told from 0 how soon it comes back."
)
say(
    "Leave ejection and the retry budget on, as they are by default, and let retries go elsewhere. The rest takes a line of "
    "the config each, where it applies.\n\n"
    f"- **An endpoint that fails at once** takes {between(without)} of all calls when all slots are in use, under every "
    f"strategy; with ejection {between(left)}. With retries elsewhere "
    f"{said(retried, (elsewhere, protected), 'lost', 'fifo')} of the requests are lost, for "
    f"{worded(calls(retried, (elsewhere, protected), 'fifo'), 'number')} calls a request instead of "
    f"{worded(calls(retried, (elsewhere, unprotected), 'fifo'), 'number')}. Nobody has to drain it by hand.\n"
    f"- **When everything is down**, the retry budget keeps {ATTEMPTS} attempts from becoming "
    f"{worded(failed_per_s(storm), 'number')} calls a second: {worded(failed_per_s(best_protected), 'number')} for "
    f"{RATE_PER_S:g} requests. Work goes on {worded(first_s(best_protected), 's')} after the servers are back.\n"
    f"- **A slow endpoint** is a matter of the strategy: the shortest 99th percentile is that of "
    f"{best_in_words(slowed['slow'], 'sojourn_p99_s')}, against {said(slowed, 'slow', 'sojourn_p99_s', 'fifo')} with "
    f"`fifo`. If it is slow only now and then, hedge calls that may be made twice: `{cheap}` brings the p99 from "
    f"{said(hedged, UNHEDGED, 'sojourn_p99_s')} to {said(hedged, cheap, 'sojourn_p99_s')} for "
    f"{worded(calls(hedged, cheap), 'number')} calls a request.\n"
    f"- **A flapping endpoint** fails {said(flaps, (calm, unprotected), 'failed_calls')} of the calls without ejection "
    f"and {said(flaps, (calm, defaults), 'failed_calls')} with it. {ADVICE}\n"
    f"- **Servers that can do less than the config says** need AIMD limits if they refuse: "
    f"{said(limited, aimd_key, 'lost')} of the requests are lost instead of {said(limited, fixed_key, 'lost')} and "
    f"{said(limited, aimd_key, 'throughput_per_s')} instead of {said(limited, fixed_key, 'throughput_per_s')} are answered "
    "a second, ejection being on in both.\n"
    f"- **Ports of one machine** need a host cap of as many calls as it has cores: {said(shared, CORES, 'lost')} wrong "
    f"verdicts instead of {said(shared, PORTS, 'lost')}.\n"
)
