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
# # The first simulation
#
# What is a strategy, and can we trust a simulation of it before we change production?
#
# A *pool* has *endpoints*; each has some *slots*. Whoever wants to call one asks for a *lease*, the right to one slot,
# and gives it back when the call is over. If no slot is free, it waits its turn. A *strategy* decides one thing:
# which of the free endpoints is next. Here we watch some of them at work, on the code that runs in production, but
# with a clock that costs nothing.

# %%
import os
import random

from IPython.display import Markdown, display

from balancer.endpoint import Outcome
from balancer.plugins import Registry
from balancer.reporting.chart import Chart
from balancer.strategy import Node, Request, Strategy, StrategyOptions
from simulator import EndpointModel, Exponential, Lognormal, Poisson, Scenario, run_study
from simulator.analytic import mmc
from simulator.report.charts import shares, tails, utilisation
from simulator.report.figures import worded, worded_difference
from simulator.report.markdown import best_in_words, markdown_table

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
HORIZON_S, REPLICATIONS = (600.0, 4) if SHORT else (6000.0, 10)


def show(chart: Chart) -> None:
    display(Markdown(f"**{chart.title}**"), chart, Markdown(f"*{chart.caption}*"))


# %% [markdown]
# ## Can it be trusted?
#
# Four endpoints with one slot each, requests that come at random and take a random time: for that, mathematics knows
# the mean wait (Erlang's C formula of 1917). The simulation should find it, within its own uncertainty.

# %%
SLOTS, LOAD = 4, 0.8
textbook = Scenario(
    name="four alike",
    workload=Poisson(rate_per_s=SLOTS * LOAD),
    work=Exponential(mean_s=1.0),
    endpoints=[EndpointModel(url=f"http://10.0.0.{{1..{SLOTS}}}/")],
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 10,
    replications=REPLICATIONS,
)
found = run_study(textbook, ["fifo"])
simulated = found.metric("fifo", "wait_mean_s")
theory_s = mmc(SLOTS, LOAD).wait_s
inside = simulated.low <= theory_s <= simulated.high
display(
    Markdown(
        f"Simulated: **{worded(simulated, 's')}** (95% interval over {REPLICATIONS} replications). "
        f"Erlang: **{theory_s * 1000:.0f} ms**, which is {'inside' if inside else 'outside'} the interval"
        f"{'' if inside else ', as happens to one interval in twenty'}."
    )
)

# %%
show(tails(found, "wait"))

# %% [markdown]
# ## What a strategy changes
#
# While endpoints are alike and have no queue of their own, it changes nothing: any free slot is as good as another.
# Now let one endpoint be twice as quick as two others, and one half as quick; each takes two calls at once.

# %%
mixed = Scenario(
    name="three speeds",
    workload=Poisson(rate_per_s=5.0),
    work=Lognormal(mean_s=1.0, cv=1.0),
    endpoints=[
        EndpointModel(url="http://quick/", capacity=2, speed=2.0, weight=2.0),
        EndpointModel(url="http://plain-{1..2}/", capacity=2),
        EndpointModel(url="http://slow/", capacity=2, speed=0.5, weight=0.5),
    ],
    horizon_s=HORIZON_S,
    warmup_s=HORIZON_S / 10,
    replications=REPLICATIONS,
)
study = run_study(mixed, ["fifo", "least_in_flight", "weighted_health", "random"])
display(
    Markdown(
        markdown_table(
            ["strategy", "mean time of a request", "more than the best", "calls to the slow endpoint"],
            [
                [
                    f"`{policy}`",
                    worded(study.metric(policy, "sojourn_mean_s"), "s"),
                    ""
                    if policy == study.ranking()[0]
                    else worded_difference(
                        study.difference(policy, study.ranking()[0], "sojourn_mean_s"),
                        study.metric(study.ranking()[0], "sojourn_mean_s").mean,
                        "s",
                    ),
                    f"{sum(r.shares['http://slow/'] for r in study.records[policy]) / REPLICATIONS:.1%}",
                ]
                for policy in study.ranking()
            ],
        )
    )
)

# %% [markdown]
# All strategies met the very same requests, so the differences are much surer than the times themselves. Where the
# calls went:

# %%
for policy in ("fifo", study.ranking()[0]):
    show(shares(study, policy))

# %%
show(utilisation(study, study.ranking()[0]))

# %% [markdown]
# ## A strategy of our own
#
# A strategy is a class with five methods. This one takes the quickest endpoint that is free, by what it has seen so far.


# %%
class QuickestFree(Strategy):
    """The free endpoint whose last call was the quickest."""

    name = "quickest_free"

    def __init__(self, options: StrategyOptions, rng: random.Random) -> None:
        self._rng = rng
        self._last_s: dict[Node, float] = {}

    def join(self, node: Node, now: float) -> None:
        self._last_s[node] = 0.0  # unknown: to be tried first

    def leave(self, node: Node, now: float) -> None:
        del self._last_s[node]

    def change(self, node: Node, now: float) -> None:
        pass

    def pick(self, request: Request, now: float) -> Node | None:
        free = [node for node in self._last_s if node.free and request.admits(node.endpoint)]
        return min(free, key=lambda node: (self._last_s[node], self._rng.random()), default=None)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        if node in self._last_s and outcome is Outcome.SUCCESS:
            self._last_s[node] = elapsed_s


registry = Registry()
registry.add_strategy(QuickestFree)
ours = run_study(mixed, ["quickest_free", "fifo", "least_in_flight", "weighted_health"], registry=registry)
display(Markdown(f"Best by the mean time of a request: {best_in_words(ours)}."))

# %%
show(tails(ours, "sojourn"))

# %% [markdown]
# ## Answer

# %%
best, worst = study.ranking()[0], study.ranking()[-1]
gain = study.difference(worst, best, "sojourn_mean_s")
mine = ours.ranking().index("quickest_free") + 1
display(
    Markdown(
        f"A strategy decides which free endpoint is next, and nothing else. With endpoints that are alike it hardly matters. "
        f"With three speeds it does: from `{best}` to `{worst}` a request takes "
        f"{worded_difference(gain, study.metric(best, 'sojourn_mean_s').mean, 's')} more on average.\n\n"
        f"The simulation can be trusted as far as we can check it: it found the wait that theory predicts "
        f"({worded(simulated, 's')} against {theory_s * 1000:.0f} ms), and it runs the code that production runs.\n\n"
        f"A strategy of our own took a dozen lines to try, and came in at place {mine} of {len(ours.policies)}. In production "
        f'the choice is one line of the config, `strategy = "{best}"`.'
    )
)
