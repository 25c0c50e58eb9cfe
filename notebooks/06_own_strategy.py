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
# # Is my strategy better?
#
# I have an idea for a strategy: take the server where a call would be done soonest. Is it better than those that there are?
#
# Four steps answer it, without a server: write it, prove that it keeps the contract of a strategy, simulate it, and compare
# it where others were measured as well.

# %%
import os
import random
from pathlib import Path

from balancer_simulator import Study, load_scenario, run_study
from balancer_simulator.report.charts import ranking, shares, tails
from balancer_simulator.report.markdown import best_in_words
from balancer_simulator.report.notebook import more_than, say, show, table
from balancer_simulator.studies.figures import worded
from hypothesis import settings

from balancer.endpoint import Outcome
from balancer.errors import StrategyError
from balancer.kit import LeastLoaded
from balancer.plugins.registry import Registry
from balancer.strategy import Node, Request, Strategy
from balancer.testing.conformance import SETTINGS, check_strategy

SHORT = os.environ.get("BALANCER_NOTEBOOKS") == "short"
REPLICATIONS = 2 if SHORT else 8
HERE = Path(__file__).parent if "__file__" in globals() else Path()
GUIDE = HERE / ".." / "examples" / "scenarios" / "guide"
OTHERS = ["least_in_flight", "weighted_health", "peak_ewma", "fifo"]


# %% [markdown]
# ## Write
#
# The first try. A strategy hears which endpoints join and leave, picks one, and hears how each call ended.


# %%
class FirstTry(Strategy):
    """The endpoint where a call would be done soonest: its mean time, times the calls that it has."""

    name = "soonest"

    def __init__(self, options: object, rng: random.Random) -> None:
        self._mean_s: dict[Node, float] = {}

    def join(self, node: Node, now: float) -> None:
        self._mean_s[node] = 0.0  # unknown: to be tried first

    def leave(self, node: Node, now: float) -> None:
        del self._mean_s[node]

    def change(self, node: Node, now: float) -> None:
        pass

    def pick(self, request: Request, now: float) -> Node | None:
        return min(self._mean_s, key=lambda node: self._mean_s[node] * (node.in_flight + 1), default=None)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        if outcome is Outcome.SUCCESS:
            self._mean_s[node] += 0.2 * (elapsed_s - self._mean_s[node])


# %% [markdown]
# ## Prove
#
# `check_strategy` makes random calls on a pool, in any order: leases, releases, failures, changes of the endpoints. After
# each it compares the pool with a simple model. If they differ, Hypothesis prints the fewest calls that show it.


# %%
def proved(kind: type[Strategy]) -> str:
    """Return what is wrong with a strategy; "" if nothing was found."""
    try:
        check_strategy(kind, settings=settings(SETTINGS, derandomize=True))
    except (AssertionError, StrategyError) as error:
        return "\n".join([str(error), *getattr(error, "__notes__", ())])
    return ""


mistake = proved(FirstTry)
print(mistake)


# %% [markdown]
# It picks an endpoint that is full, or one that the request does not allow. It would also fail if an endpoint left while a
# call is out. The parts of `balancer.kit` have dealt with all of this. `LeastLoaded` draws a few endpoints that may be
# used, and takes the one with the least load; only the load is ours.


# %%
class Soonest(LeastLoaded):
    """The endpoint where a call would be done soonest, of three drawn at random."""

    name = "soonest"

    def __init__(self, options: object, rng: random.Random) -> None:
        super().__init__(rng, choices=3)
        self._mean_s: dict[Node, float] = {}

    def load(self, node: Node, now: float) -> float:
        return self._mean_s.get(node, 0.0) * (node.in_flight + 1) / node.weight

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        if outcome is Outcome.SUCCESS:
            mean_s = self._mean_s.get(node, elapsed_s)
            self._mean_s[node] = mean_s + 0.2 * (elapsed_s - mean_s)
        super().finish(node, outcome, elapsed_s, now)

    def leave(self, node: Node, now: float) -> None:
        self._mean_s.pop(node, None)
        super().leave(node, now)


left = proved(Soonest)
say(f"`Soonest`: {left or 'no breach of the contract was found.'}")

# %% [markdown]
# ## Simulate
#
# Ten servers of three speeds, and nobody has told the pool which is which. All strategies meet the same requests.

# %%
registry = Registry()
registry.add_strategy(Soonest)


def compared(file: str) -> Study:
    scenario = load_scenario(GUIDE / file).changed(replications=REPLICATIONS, loads=[])
    return run_study(scenario, [Soonest.name, *OTHERS], registry=registry)


speeds = compared("2-speeds.toml")
show(ranking(speeds))

# %%
show(tails(speeds, "sojourn"))

# %%
for policy in (Soonest.name, "least_in_flight"):
    show(shares(speeds, policy))

# %% [markdown]
# ## Compare
#
# One scenario is not enough: a strategy that is good with servers of different speeds may be bad when one fails. These are
# three more cases of the guide [strategies](../docs/strategies.md), where all strategies are measured.

# %%
CASES = {
    "1-equal.toml": "equal servers",
    "2-speeds.toml": "three speeds, unknown",
    "3-black-hole.toml": "one fails each call at once",
    "4-flapping.toml": "fast, slow and flapping",
}
studies = {file: speeds if file == "2-speeds.toml" else compared(file) for file in CASES}


def cell(study: Study, policy: str) -> str:
    found = study.metric(policy, "sojourn_mean_s")
    words = "too slow for the load" if found.is_refused else worded(found, "s")
    return f"**{words}**" if policy in study.best() else words


table(
    ["mean time of a request", *CASES.values()],
    [[f"`{policy}`", *(cell(study, policy) for study in studies.values())] for policy in (Soonest.name, *OTHERS)],
)
say("Bold: the best, and those that cannot be told apart from it.")

# %% [markdown]
# ## Answer

# %%
won = [CASES[file] for file, study in studies.items() if Soonest.name in study.best()]
beside = {CASES[file]: more_than(study, Soonest.name, "least_in_flight") for file, study in studies.items()}
rest = "\n".join(f"- {case}: {words}" for case, words in beside.items())
say(
    f"My strategy is among the best in {len(won)} of {len(CASES)} cases{': ' * bool(won)}{', '.join(won)}. The mean time of a "
    f"request with mine, less that with `least_in_flight`, the default of a pool:\n\n{rest}\n\n"
    f"With servers of three speeds, the best is {best_in_words(speeds)}. "
    f"{'The first try was wrong, and the check showed it in a few calls. ' if mistake else ''}"
    "To use mine: offer it in a [plugin](../docs/plugins.md), and write its name in the config. Nothing else changes, as the "
    "simulation runs the code that production runs."
)
