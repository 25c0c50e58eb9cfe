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
# Most of it is tried on four endpoints of which the last is the bad one, without the pool's protection and with it. A
# strategy chooses among endpoints; [health and limits](../docs/health.md) say which ones there are to choose from.

# %%
import os

from balancer_simulator import (
    Change,
    CrashRepair,
    EndpointModel,
    FailWithin,
    Lognormal,
    Poisson,
    Policy,
    Requests,
    Scenario,
    SlowWithin,
    run_study,
    run_sweep,
    simulate_once,
)
from IPython.display import Markdown, display

from balancer import HealthSettings, LimitSettings, RetrySettings

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (200.0, 3) if SHORT else (1200.0, 5)
STRATEGIES = ["fifo", "least_in_flight", "peak_ewma", "weighted_health"]
ONE, BAD, SOUND = "least_in_flight", "http://bad/", 3
EJECTION, BUDGET = HealthSettings(), RetrySettings()  # the defaults


def cluster(load: float, faults: list, *, slots: int = 1, attempts: int = 1, **values: object) -> Scenario:
    """Sound endpoints and one with faults; a call takes 1 s on average. `load` is a part of what the sound ones can do."""
    usual = Scenario(
        workload=Poisson(rate_per_s=load * SOUND * slots),
        endpoints=[
            EndpointModel(url=f"http://sound-{{1..{SOUND}}}/", capacity=slots),
            EndpointModel(url=BAD, capacity=slots, faults=faults),
        ],
        requests=Requests(attempts=attempts),
        horizon_s=HORIZON_S,
        warmup_s=0.0,  # what it costs to find a fault out is at the start
        replications=REPLICATIONS,
        health=None,
    )
    return usual.changed(**values)


def table(sweep, *figures: str):
    """The figures of a sweep, a row for each key and policy."""
    found = sweep.figures[sweep.figures.figure.isin(figures)]
    return found.pivot(index=["key", "policy"], columns="figure", values="mean")[list(figures)].round(3)


# %% [markdown]
# ## The black hole: an endpoint that fails every call after 10 ms
#
# It is free again at once, so it gets the next call, and the next. Ejection takes it out of service; a retry goes elsewhere.

# %%
HOLE = [FailWithin(after_s=0.01)]
holes = run_sweep(
    {
        "no ejection": cluster(0.9, HOLE),
        "no ejection, 3 attempts": cluster(0.9, HOLE, attempts=3),
        "ejection": cluster(0.9, HOLE, health=EJECTION),
        "ejection, 3 attempts": cluster(0.9, HOLE, attempts=3, health=EJECTION),
        "drained by hand": cluster(0.9, HOLE, changes=[Change(at_s=0.0, do="drain", url=BAD)]),
    },
    ["fifo", "weighted_health"],
)
table(holes, "failed_calls", "lost", "sojourn_mean_s", "calls")

# %% [markdown]
# ## The slow one: which strategy notices?
#
# For half of the time, calls that begin on it take ten times as long. Nothing fails, so ejection and retries have nothing
# to do. A strategy differs in how many calls it leaves with an endpoint that is slow.

# %%
SLOW = [SlowWithin(from_s=0.25 * HORIZON_S, to_s=0.75 * HORIZON_S, factor=10.0)]
slowed = run_study(cluster(0.5, SLOW, slots=4), STRATEGIES)
slowed.plot.cdf("sojourn_s", tail=True)
# %%
slowed.plot.ranking("sojourn_p99_s")
# %% [markdown]
# If it is slow only now and then, a second call elsewhere helps (*hedging*): the first answer counts. The budget is that of
# retries, here 20% of the requests.

# %%
SPELLS = [SlowWithin(from_s=s, to_s=s + 20.0, factor=10.0) for s in range(40, int(HORIZON_S), 80)]
moody = cluster(0.5, SPELLS, slots=4, work=Lognormal(mean_s=1.0, cv=0.5))
AFTER_S = (1.0, 2.0, 3.0, 5.0)
hedged = run_sweep(
    {0.0: moody}
    | {
        s: moody.changed(requests=Requests(attempts=1, hedge_after_s=s), retries=RetrySettings(budget_per_s=0.0))
        for s in AFTER_S
    },
    [ONE],
)
hedged.plot.curve("sojourn_p99_s", x="a second call after (s); 0: none")
# %% [markdown]
# ## The flapping one: when may it come back?
#
# It is up for a minute and down for 15 s, on average. An ejected endpoint comes back when a probe succeeds after its
# cooldown. Each probe that fails makes the next cooldown longer.

# %%
FLAPPING = [CrashRepair(mtbf_s=60.0, mttr_s=15.0)]
RETURNS = {"no ejection": None, "cooldown up to 30 s": HealthSettings(max_cooldown_s=30.0), "the defaults": EJECTION}
flaps = run_sweep(
    {
        how: cluster(0.8, FLAPPING, slots=4, attempts=3, retries=BUDGET, health=health)
        for how, health in RETURNS.items()
    },
    [ONE],
)
table(flaps, "failed_calls", "lost", "sojourn_mean_s", "utilisation")

# %%
flaps["the defaults"].plot.utilisation()
# %% [markdown]
# ## Overload: a server that does less than its capacity says
#
# The config says 8 slots for each of four servers; in truth each works on 2 calls at once and refuses what is more than 3.
# With `kind = "aimd"` the pool finds the limit by itself.

# %%
narrow = Scenario(
    workload=Poisson(rate_per_s=6.8),
    work=Lognormal(mean_s=1.0, cv=1.0),
    endpoints=[EndpointModel(url="http://10.0.0.{1..4}/", capacity=8, parallel=2, refuse_beyond=3)],
    requests=Requests(attempts=3, call_timeout_s=5.0),
    retries=BUDGET,
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 20,
    replications=REPLICATIONS,
)
limited = run_sweep({"fixed": narrow, "aimd": narrow.changed(limits=LimitSettings(kind="aimd"))}, [ONE])
table(limited, "failed_calls", "lost", "throughput_per_s", "sojourn_mean_s")

# %% [markdown]
# ## An operator
#
# A SimPy process of your own can join a run. This one keeps an endpoint in reserve, watches the queue, and adds the
# reserve when many wait. Three endpoints are too few for the load.


# %%
def operator(run, patience: float = 10.0):
    run.change("drain", BAD)  # here it is sound: the reserve
    while run.waiting < patience:
        yield run.env.timeout(1.0)
    run.change("add", BAD)


watched, policy = cluster(1.1, [], replications=1), Policy(strategy=ONE)
helped = simulate_once(watched, policy, processes=[operator])
alone = simulate_once(watched, policy, processes=[lambda run: operator(run, patience=float("inf"))])
ax = alone.samples.plot("at_s", "waiting", label="nobody looks", ylabel="requests that wait", xlabel="s")
helped.samples.plot("at_s", "waiting", label="an operator looks", ax=ax, xlabel="s")

# %% [markdown]
# ## Answer


# %%
def said(sweep, key: str, figure: str, policy: str = ONE) -> str:
    return f"{100 * sweep.metric(key, figure, policy).mean:.1f}%"


first = slowed.ranking("sojourn_p99_s")[0]
best = min(AFTER_S, key=lambda s: hedged.metric(s, "sojourn_p99_s").mean)
display(
    Markdown(
        "Leave ejection and the retry budget on, as they are by default, and let retries go elsewhere.\n\n"
        f"- **An endpoint that fails at once** takes {said(holes, 'no ejection', 'failed_calls', 'fifo')} of all calls; with "
        f"ejection {said(holes, 'ejection', 'failed_calls', 'fifo')}. With retries as well, "
        f"{said(holes, 'ejection, 3 attempts', 'lost', 'fifo')} of the requests are lost. Nobody has to drain it by hand.\n"
        f"- **A slow endpoint** is a matter of the strategy: the p99 is {slowed.metric(first, 'sojourn_p99_s')} s with `{first}` "
        f"and {slowed.metric('fifo', 'sojourn_p99_s')} s with `fifo`. If it is slow only now and then, a second call after "
        f"{best:g} s brings the p99 from {hedged.metric(0.0, 'sojourn_p99_s')} to {hedged.metric(best, 'sojourn_p99_s')} s.\n"
        f"- **A flapping endpoint** fails {said(flaps, 'no ejection', 'failed_calls')} of the calls without ejection and "
        f"{said(flaps, 'the defaults', 'failed_calls')} with it.\n"
        f"- **Servers that can do less than the config says** need AIMD limits if they refuse: {said(limited, 'aimd', 'lost')} of "
        f"the requests are lost instead of {said(limited, 'fixed', 'lost')}."
    )
)
