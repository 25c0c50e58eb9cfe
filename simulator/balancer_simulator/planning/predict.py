"""Prediction of the next run from a trace, with changes; and its check.

A check fits the first part of a trace, predicts the rest, and compares with what happened.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from pandas import DataFrame

from balancer.errors import ConfigError
from balancer.observing.traces import Attempt, Trace
from balancer_simulator.fitting.calls import FEWEST, until
from balancer_simulator.fitting.fit import Fit, fit_run, fit_trace
from balancer_simulator.planning.goodness import goodness_of_fit
from balancer_simulator.planning.planner import DRAWS, Planner, Predicted
from balancer_simulator.planning.shown import Prediction
from balancer_simulator.planning.what_if import WhatIf, from_0, whole_of
from balancer_simulator.studies.parallel import Simulators

__all__ = ["PARTS", "Check", "check", "predict", "recorded_figures"]

PARTS: Final = (0.05, 0.1, 0.2, 0.5)
"""Shares of the calls after which predictions are checked, unless told otherwise."""

_AGAIN: Final = 5  # outages of an endpoint from which on their rate is no longer rough
_BEHIND: Final = 0.1  # share of the run: if its end is later than the last arrival by this, a queue has grown


def predict(
    trace: Trace, change: WhatIf | None = None, *, draws: int = DRAWS, seed: int = 1, jobs: int | None = 1
) -> Prediction:
    """Return the prediction of the next run.

    Args:
        trace: of a run.
        change: what differs from today.
        draws, seed, jobs: number of resampled fits, their seed, and the number of processes.

    Raises:
        ConfigError: the trace has too few calls that ended; or a change does not apply.
    """
    change = change or WhatIf()
    change.check()
    fit = fit_run(trace)
    if fit.few:
        raise ConfigError(f"predict: {fit.prepared.ended} calls have ended in the trace; it needs at least {FEWEST}")
    with Simulators(jobs) as simulators:
        planner = Planner(fit, simulators, draws, seed)
        change = planner.resolved(change)
        today, *others = planner.forecasts([change.today, *([change] if change.differs else [])])
    found = [*others, today][0]
    figures, unlimited = found.figures, _unlimited(planner, change)
    if unlimited:  # without a limit, they would surely be 0
        figures = {name: each for name, each in figures.items() if not name.startswith("wait")}
    return Prediction(
        figures, found.share_of, draws, today.figures, today.share_of, recorded_figures(fit), _recorded_shares(fit),
        changes=tuple(change.words), remarks=(*_again(fit, change), *unlimited, *_behind(fit, figures)),
        off=tuple(map(str.strip, goodness_of_fit(fit).lines())),
    )  # fmt: skip


def recorded_figures(fit: Fit) -> dict[str, float]:
    """Return the figures of `planner.FIGURES` that the trace itself has.

    A request that was tried again is several calls of a trace, so there is no sojourn then. Several runs have no
    makespan.
    """
    trace, events = fit.prepared.trace, [each.event for each in fit.prepared.trace.events]
    ended = [each for each in fit.prepared.attempts if not each.open and each.outcome != "ignored"]
    done = [each for each in ended if each.outcome == "success"]
    again, gave_up = events.count("retried") + events.count("hedged"), events.count("gave_up")
    asked = len(ended) - again + gave_up
    found = {"lost": min(1.0, max(0.0, 1 - len(done) / asked))} if asked > 0 else {}
    if done and not again:
        sojourns = np.array([each.ended_s - each.asked_s for each in done])
        found |= {"sojourn_mean_s": float(sojourns.mean())}
        found |= {f"sojourn_p{q}_s": float(np.quantile(sojourns, q / 100)) for q in (50, 99)}
    found |= _waits(fit.prepared.attempts)
    if len({each.run for each in trace.attempts}) == 1 and fit.prepared.lasts_s > 0:
        found |= {"makespan_s": fit.prepared.lasts_s, "throughput_per_s": len(done) / fit.prepared.lasts_s}
    return found


def _waits(attempts: Sequence[Attempt]) -> dict[str, float]:
    waits = np.array([each.waited_s for each in attempts] or [0.0])
    return {"wait_mean_s": float(waits.mean()), "wait_p99_s": float(np.quantile(waits, 0.99))}


def _recorded_shares(fit: Fit) -> dict[str, float]:
    whole = len(fit.prepared.attempts)
    return {member.url: len(fit.endpoints[member.name].calls) / whole for member in fit.members}


def _again(fit: Fit, change: WhatIf) -> Iterator[str]:
    """Yield that a run of the pipeline is the same again, and that a next run may have other outages."""
    if fit.batch is not None:
        at_once = min(change.callers or fit.callers or 1, fit.batch["samples"])
        yield (
            f"a run of the pipeline: the same {fit.batch['samples']} problems again, {at_once} at once, each through "
            "its stages"
        )
    # With few outages most runs have none, or one.
    if not change.again and any(0 < len(each.troubles.outages) < _AGAIN for each in fit.endpoints.values()):
        yield "outages come by chance, and a next run may have none; with those of the trace: --again"


def _unlimited(planner: Planner, change: WhatIf) -> list[str]:
    """Return that waits are not known after a change, because of endpoints without a known capacity."""
    assert isinstance(planner.source, Fit)
    names = [
        each.name for each in planner.source.members
        if each.source == "no wait" and each.url not in change.without and each.url not in change.capacities
    ]  # fmt: skip
    if not names or not change.differs:
        return []
    said = f"the capacity of {', '.join(names)} is not known, because no call waited for it"
    return [f"waits are left out, and times are without waits: {said}; give it: --capacity URL=N"]


def _behind(fit: Fit, figures: Mapping[str, Predicted]) -> Iterator[str]:
    """Yield that open arrivals come faster than they are served."""
    if fit.callers is not None:
        return
    last_s = whole_of(from_0(fit.caller_pattern.at_s))
    over_s = figures["makespan_s"].value if "makespan_s" in figures else math.inf
    if over_s - last_s > max(_BEHIND * last_s, 10 * fit.typical_s):
        yield (
            f"calls come faster than they are served: arrivals take {last_s:.3g} s and the run {over_s:.3g} s; so its "
            "times grow with its length"
        )


# -- the check -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """Figures that were predicted after parts of a trace, and what came.

    Attributes:
        figures: a frame with a row for each part and figure: `at_s` is the instant of the cut. `error` is relative; if
            the true value is 0, it is in seconds. `covered`: the interval holds what came.
        left_out: why a part has none.
    """

    figures: DataFrame
    left_out: dict[float, str]

    def covered(self, name: str) -> tuple[int, int]:
        """Return how many intervals of a figure hold the true value, and the number of intervals."""
        found = self.figures.covered[self.figures.figure == name]
        return int(found.sum()), len(found)


def check(
    trace: Trace, parts: Sequence[float] = PARTS, *, draws: int = DRAWS, seed: int = 1, jobs: int | None = 1
) -> Check:
    """Fit `trace` as it was after each part of its calls, and compare the prediction with what happened.

    Compared are the end of the whole run, and the throughput and the waits after the cut. If the trace has several
    runs, the one with the most calls is used.

    Raises:
        ConfigError: there are no calls, or too few before every cut.
    """
    one = _longest_run(trace)
    figures, left_out = list[dict[str, Any]](), {}
    with Simulators(jobs) as simulators:
        for part in parts:
            try:
                figures += _test(one, part, partial(Planner, simulators=simulators, draws=draws, seed=seed))
            except ConfigError as error:
                left_out[part] = str(error)
    if not figures:
        raise ConfigError(f"predictions from the trace cannot be checked: {next(iter(left_out.values()))}")
    return Check(DataFrame(figures), left_out)


def _longest_run(trace: Trace) -> Trace:
    if not trace.attempts:
        raise ConfigError("predictions from the trace cannot be checked: it has no calls")
    runs = [each.run for each in trace.attempts]
    name = max(dict.fromkeys(runs), key=runs.count)
    return replace(
        trace,
        runs=[run for run in trace.runs if run.get("run") == name],
        attempts=[each for each in trace.attempts if each.run == name],
        events=[each for each in trace.events if each.run == name],
        ended=trace.ended & {name},
    )


def _test(trace: Trace, part: float, planner: Callable[..., Planner]) -> Iterator[dict[str, Any]]:
    began_s = min(each.asked_s for each in trace.attempts)
    ends = sorted(each.ended_s for each in trace.attempts if not each.open)
    many = int(part * len(ends))
    if many < FEWEST:
        raise ConfigError(f"{many} calls had ended after {part:.0%} of them; it needs at least {FEWEST}")
    at_s = ends[many - 1] - began_s + 1e-9
    cut = until(trace, at_s)
    fit = fit_trace(cut)
    again = sum(each.event == "retried" for each in trace.events)
    over = sum(not each.open for each in cut.attempts) - sum(each.event == "retried" for each in cut.events)
    remaining = max(1, len(trace.attempts) - again - over)
    last_s = max(each.asked_s for each in trace.attempts) - began_s
    (found,) = planner(fit, calls=remaining, lasts_s=max(last_s - at_s, 1e-6)).forecasts([WhatIf()])
    for name, came in _came(trace, began_s, at_s).items():
        if (each := found.figures.get(name)) is not None:
            since_s = at_s if name == "makespan_s" else 0.0
            moved = Predicted(each.value + since_s, each.low + since_s, each.high + since_s)
            yield {
                "part": part, "at_s": at_s, "figure": name, "predicted": moved.value, "low": moved.low,
                "high": moved.high, "came": came, "error": (moved.value - came) / (came or 1.0),
                "covered": moved.holds(came),
            }  # fmt: skip


def _came(trace: Trace, began_s: float, at_s: float) -> dict[str, float]:
    end_s = max(each.ended_s for each in trace.attempts) - began_s
    rest = [each for each in trace.attempts if each.granted_s - began_s >= at_s]
    done = sum(each.outcome == "success" and each.ended_s - began_s > at_s for each in trace.attempts)
    return {"makespan_s": end_s, "throughput_per_s": done / max(end_s - at_s, 1e-9), **_waits(rest)}
