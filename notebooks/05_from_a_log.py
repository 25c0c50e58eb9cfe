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
# # From a log to an order of servers
#
# We have the log of a proxy, and more load is to come. How many servers do we order?
#
# The log is a minute of a real HAProxy 3.0 in front of five servers, in `data/haproxy.log.gz`. It asked them in turn, with
# at most four calls at once on each. The servers sleep as long as a random number says. One of them is slow for 5 s of
# every 20 s, and one was down for 8 s. Nothing of this is told to what follows: it has to be found in the log.
#
# On the command line the same is: `balancer fit --summary haproxy.log.gz --out calls.jsonl`, `balancer fit calls.jsonl`, `balancer
# predict calls.jsonl`, `balancer plan calls.jsonl --p99 1s --load x1.4 --losing 1`.

# %%
import os
from pathlib import Path

from balancer_simulator import Goal, WhatIf, fit_trace, plan, predict, run_study
from IPython.display import Markdown, display
from matplotlib import pyplot
from pandas import DataFrame

from balancer.observing.traces.importers import import_logs

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
DRAWS = 5 if SHORT else 12
HERE = Path(__file__).parent if "__file__" in globals() else Path()
MORE, LOSING, P99_S = 1.4, 1, 1.0  # the load to come, servers that may be gone, and how long 99 in 100 may take

# %% [markdown]
# ## What does the log say?

# %%
log = import_logs([HERE / "data" / "haproxy.log.gz"])
calls = DataFrame([{"server": c.endpoint, "began_s": c.granted_s, "took_s": c.held_s} for c in log.trace.attempts])
calls["began_s"] -= calls.began_s.min()
calls.groupby("server").took_s.describe(percentiles=[0.5, 0.99]).round(3)

# %% [markdown]
# A server without calls is down, or was taken out. How long calls take tells the slow one.

# %%
_, axes = pyplot.subplots(2, sharex=True, layout="constrained", figsize=(8, 5))
steps = calls.groupby([(calls.began_s // 2) * 2, "server"]).took_s
steps.size().unstack(fill_value=0).div(2).plot(ax=axes[0], ylabel="calls a second", xlabel="s")
steps.mean().unstack().plot(ax=axes[1], ylabel="mean (s)", xlabel="s", legend=False)
# %% [markdown]
# ## What are these servers like?
#
# A *fit* is a model of each server, of when calls come, and of the order in which servers are asked: all found in the log.
# It is of use only if runs of it look like the log. So one is held against it.

# %%
fit = fit_trace(log.trace)
runs = fit.scenario(replications=DRAWS)
print("the calls went as by", fit.policy.strategy)

# %%
again = run_study(runs, [fit.policy]).requests().query("outcome == 'answered'")
again["took_s"] = again.ended_s - again.started_s
both = {"log": calls.took_s, "fit": again.took_s}
DataFrame({name: took_s.describe(percentiles=[0.5, 0.9, 0.99]) for name, took_s in both.items()}).round(3)

# %%
_, ax = pyplot.subplots(layout="constrained", figsize=(8, 3.5))
for name, took_s in both.items():
    ax.ecdf(took_s, label=name)
ax.set(xlabel="a call takes at most (s)", ylabel="share of the calls")
ax.legend()
# %% [markdown]
# ## What would a change do?
#
# Before servers are bought: would another way of asking them do? And what does more load do to the servers of today? Each
# prediction is of one next run, with a 95% interval for that run.

# %%
TODAY, OTHERS = fit.policy.strategy, ("round_robin", "least_in_flight", "weighted_health")
QUESTIONS = {f"{MORE:g} x the load": WhatIf(load=MORE)} | {
    f"{MORE:g} x the load, {other}": WhatIf(load=MORE, settings={"strategy": other})
    for other in OTHERS
    if other != TODAY
}
found = {name: predict(log.trace, change=change, draws=2 * DRAWS) for name, change in QUESTIONS.items()}
p99 = {name: each.figures["sojourn_p99_s"] for name, each in found.items()}
p99 = {"as it is": next(iter(found.values())).today["sojourn_p99_s"], **p99}
predicted = DataFrame([{"": name, "p99": p.value, "low": p.low, "high": p.high} for name, p in p99.items()]).set_index(
    ""
)
predicted.round(3)

# %%
errors = [predicted.p99 - predicted.low, predicted.high - predicted.p99]
predicted.p99.plot.barh(xerr=errors, xlabel="99 in 100 requests take at most (s)").invert_yaxis()
# %% [markdown]
# ## How many servers?
#
# The wish: 99 in 100 requests take at most a second, at 1.4 times the load, while the best server is gone. And it must hold
# in 95 of 100 runs. Pools are tried from the cheapest on.

# %%
order = plan(fit, Goal(p99_s=P99_S, load=MORE, losing=LOSING), strategies=["least_in_flight"], draws=DRAWS, anyway=True)
tried = DataFrame(
    [{"servers": len(each.slots), "sure of (s)": each.sure, "does": each.does} for each in order.tried]
).sort_values("servers")
tried.set_index("servers").round(3)

# %%
ax = tried.plot.scatter("servers", "sure of (s)", logy=True)
ax.axhline(P99_S, color="black", linewidth=1)
# %% [markdown]
# ## Answer

# %%
have, chosen = len(order.present.slots), order.chosen
wish = f"{P99_S:g} s for 99 in 100 requests at {MORE:g} x the load with the best server gone"
verdict = "**No number of servers that was tried does.**"
if chosen is not None:
    verdict = (
        f"**Order {len(chosen.slots) - have} more** like those of today, so that there are {len(chosen.slots)}. This pool is "
        f"sure of {chosen.sure:.2f} s."
    )
today, loaded = predicted.p99.iloc[:2]
display(
    Markdown(
        f"{verdict} The wish is {wish}.\n\n"
        f"Without an order, {MORE:g} x the load takes {loaded:.2f} s for 99 in 100 requests while all servers are there; today "
        f"it is {today:.2f} s. Asking them in another way alone brings {predicted.p99.iloc[2:].min():.2f} s at best.\n\n"
        "What a log of a minute cannot show: more than four calls at once on a server, how often a server is down (it has one "
        "outage), and other hours of the day. A longer log says more of all three."
    )
)
