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
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from balancer_simulator import Goal, WhatIf, fit_trace, plan, predict
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.report.fit import quantile_chart
from balancer_simulator.report.notebook import say, show, table
from balancer_simulator.report.plan import interval_chart, plan_chart

from balancer.observing.traces.importers import import_logs
from balancer.reporting import charts
from balancer.reporting.charts import ChartLine, line_chart, to_svg
from balancer.reporting.document import Chart
from balancer.reporting.words import percent, seconds

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
DRAWS = 5 if SHORT else 20
JOBS = 1 if SHORT or "__file__" in globals() else os.cpu_count() or 1
HERE = Path(__file__).parent if "__file__" in globals() else Path()
MORE, LOSING, P99_S = 1.4, 1, 1.0  # the load to come, servers that may be gone, and how long 99 in 100 may take

# %% [markdown]
# ## What does the log say?

# %%
log = import_logs([HERE / "data" / "haproxy.log.gz"])
assert log is not None
calls = log.trace.attempts
began_s = min(call.asked_s for call in calls)
lasts_s = max(call.ended_s for call in calls) - began_s
names = sorted({call.endpoint for call in calls})
took = {name: [call.held_s for call in calls if call.endpoint == name] for name in names}
say(f"Read as a log of {log.format}: {len(calls)} calls in {seconds(lasts_s)}, {len(calls) / lasts_s:.0f} a second.")
table(
    ["server", "calls", "mean", "p50", "p99"],
    [
        [
            name,
            str(len(times)),
            *(seconds(float(figure)) for figure in (np.mean(times), *np.quantile(times, [0.5, 0.99]))),
        ]
        for name, times in took.items()
    ],
)

# %%
STEP_S = 2.0
by_step: dict[str, Counter[int]] = defaultdict(Counter)
time_of: dict[str, Counter[int]] = defaultdict(Counter)
for call in calls:
    step = int((call.granted_s - began_s) / STEP_S)
    by_step[call.endpoint][step] += 1
    time_of[call.endpoint][step] += call.held_s
steps = range(int(lasts_s / STEP_S))
middles = [STEP_S * (step + 0.5) for step in steps]


def over_time(values: dict[str, list[float]], title: str, ylabel: str, caption: str) -> Chart:
    lines = [ChartLine(name, middles, ys) for name, ys in values.items()]
    return Chart(title, caption, to_svg(line_chart(lines, xlabel="seconds", ylabel=ylabel, width=charts.WIDE)))


rates = {name: [by_step[name][step] / STEP_S for step in steps] for name in names}
show(over_time(rates, "Calls of each server", "calls a second", "A server without calls is down, or was taken out."))

# %%
means = {
    name: [time_of[name][step] / by_step[name][step] if by_step[name][step] else float("nan") for step in steps]
    for name in names
}
show(over_time(means, "How long calls take", "mean (s)", "Of the calls that began in these two seconds."))

# %% [markdown]
# ## What are these servers like?
#
# A *fit* is a model of each server, and of when calls come, that is found in the log. It is of use only if runs of it look
# like the log. So the two are held against each other.

# %%
fit = fit_trace(log.trace)
held = goodness_of_fit(fit)
off = held.off()
table(
    ["server", "calls", "mean of the fit, against the log", "p99: log", "p99: fit"],
    [
        [each.endpoint, str(each.calls), f"{each.off:+.1%}", *(seconds(value) for value in each.at(0.99))]
        for each in held.calls
    ],
)
say("\n".join(f"- {figure.words}" for figure in held.waits))

# %%
slowest = max(held.calls, key=lambda each: each.at(0.99)[0])
show(quantile_chart(slowest))

# %% [markdown]
# ## What would a change do?
#
# Before servers are bought: would another order of asking them do? And what does more load do to the servers of today? Each
# prediction is of one next run, with an interval for that run.

# %%
QUESTIONS = {
    f"{MORE:g} x the load": WhatIf(load=MORE),
    f"{MORE:g} x the load, least in flight": WhatIf(load=MORE, settings={"strategy": "least_in_flight"}),
    f"{MORE:g} x the load, weighted by health": WhatIf(load=MORE, settings={"strategy": "weighted_health"}),
}
found = {name: predict(log.trace, change=change, draws=2 * DRAWS, jobs=JOBS) for name, change in QUESTIONS.items()}


def p99(name: str) -> str:
    each = found[name].figures["sojourn_p99_s"]
    return f"{seconds(each.value)} ({seconds(each.low)} to {seconds(each.high)})"


today = next(iter(found.values())).today["sojourn_p99_s"]
table(
    ["", "p99: 99 in 100 requests take at most"],
    [
        ["as it is", f"{seconds(today.value)} ({seconds(today.low)} to {seconds(today.high)})"],
        *([name, p99(name)] for name in QUESTIONS),
    ],
)

# %%
first = next(iter(QUESTIONS))
show(interval_chart(found[first], f"The next run, with {first}", ("sojourn_mean_s", "sojourn_p99_s")))

# %% [markdown]
# ## How many servers?
#
# The wish: 99 in 100 requests take at most a second, at 1.4 times the load, while the best server is gone. And it must hold
# in 95 of 100 runs. Pools are tried from the cheapest on. Each is run for several fits to parts of the log, because one
# minute does not tell everything.

# %%
order = plan(
    fit,
    Goal(p99_s=P99_S, load=MORE, losing=LOSING),
    strategies=["least_in_flight"],
    draws=DRAWS,
    jobs=JOBS,
    anyway=bool(off),
)
table(
    ["servers", "p99", "sure of", "lost", "does"],
    [
        [
            str(len(each.slots)),
            "grows without end" if np.isinf(each.sure) else seconds(each.forecast.figures["sojourn_p99_s"].value),
            seconds(each.sure),
            percent(each.forecast.mean("lost"), digits=1),
            "yes" if order.does(each) else "no",
        ]
        for each in sorted(order.tried, key=lambda each: len(each.slots))
    ],
)

# %%
show(plan_chart(order))

# %% [markdown]
# ## Answer

# %%
have = len(order.present.slots)
wish = f"{seconds(P99_S)} for 99 in 100 requests at {MORE:g} x the load with the best server gone"
if order.chosen is None:
    verdict = (
        f"**No number of servers that was tried does.** The wish is {wish}; the tail is of the servers themselves."
    )
else:
    more = len(order.chosen.slots) - have
    verdict = (
        f"**Order {more} server{'s' * (more != 1)}** like those of today, so that there are {have + more}. The wish is "
        f"{wish}; this pool is sure of {seconds(order.chosen.sure)}."
    )
    if order.nearest is not None:
        verdict += f" With {len(order.nearest.slots)} it is only sure of {seconds(order.nearest.sure)}."
trust = (
    "Runs of the fit are like the log, as far as calls and waits go."
    if not off
    else f"Take it with care: runs of the fit are unlike the log in {len(off)} figure{'s' * (len(off) != 1)}."
)
say(
    f"{verdict}\n\n{trust} The log has {len(calls)} calls of {seconds(lasts_s)}. What it cannot show: more than four calls "
    "at once on a server, how often a server is down (it has one outage), and other hours of the day. A longer log says "
    "more of all three.\n\n"
    f"Without an order, {MORE:g} x the load takes {p99(first)} for 99 in 100 requests while all five servers are there; today "
    f"it is {seconds(today.value)}."
)
