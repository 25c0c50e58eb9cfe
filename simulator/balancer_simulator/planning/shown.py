"""Predictions and plans as text and as plain data. A table is a frame: seconds, calls a second, and parts of one."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pandas import DataFrame, Series, concat

from balancer.reporting.words import count, seconds
from balancer_simulator.planning.planner import Predicted

if TYPE_CHECKING:
    from balancer_simulator.planning.plan import PoolPlan, Setting

__all__ = ["Prediction", "config_remarks", "plan_data", "plan_text", "plan_verdict", "shown"]


def shown(frame: DataFrame) -> str:
    """Return a frame as text."""
    return str(frame.to_string(float_format="{:.4g}".format, na_rep="-"))


# -- a prediction --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prediction:
    """Prediction of the next run. As text, a table.

    Attributes:
        figures: by name, see `planner.FIGURES`; `makespan_s` is that of the whole run.
        shares: the share of the calls at each endpoint, by URL.
        draws: number of resampled fits.
        today, today_shares: the same without changes, from the same fits and requests.
        recorded, recorded_shares: those of the trace.
        changes: in words.
        remarks: assumptions and warnings, a sentence each.
        off: what `FitCheck.lines` says of its fit; () if the fit is like its trace.
    """

    figures: dict[str, Predicted]
    shares: dict[str, Predicted]
    draws: int
    today: dict[str, Predicted]
    today_shares: dict[str, Predicted]
    recorded: dict[str, float] = field(default_factory=dict)
    recorded_shares: dict[str, float] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    def __str__(self) -> str:
        several = "from the same resampled fits and requests" if self.changes else "from resampled fits"
        parts = [
            ": ".join(["the next run", *filter(None, [", ".join(self.changes)])]),
            *self.off,
            _beside(self.recorded, self.today, self.figures if self.changes else {}),
            f"low and high: 95% intervals of one run, {several} ({self.draws})",
            *self.remarks,
        ]
        if len(self.shares) > 1:
            shares = _beside(self.recorded_shares, self.today_shares, self.shares if self.changes else {})
            parts += ["", "share of the calls, by endpoint", shares]
        return "\n".join(parts)


def _plain(figures: Mapping[str, Predicted]) -> dict[str, dict[str, float]]:
    return {name: asdict(each) for name, each in figures.items()}


def _beside(recorded: Mapping[str, float], today: Mapping[str, Predicted], changed: Mapping[str, Predicted]) -> str:
    """Return a table of recorded and predicted values; `changed` is empty without changes."""
    columns = [Series(recorded, name="recorded", dtype=float), DataFrame(_plain(today)).T.add_prefix("today_")]
    if changed:
        columns.append(DataFrame(_plain(changed)).T.add_prefix("changed_"))
    frame = concat(columns, axis=1).reindex([*today, *(changed.keys() - today.keys())])
    if changed:
        frame["differs"] = frame["changed_value"] / frame["today_value"]
    return shown(frame)


# -- a plan --------------------------------------------------------------------------------------------


def plan_verdict(found: "PoolPlan") -> str:
    """Return the answer as a sentence."""
    goal, answer = found.goal, found.chosen or found.nearest
    losing = f", without {count(goal.losing, 'endpoint')}" if goal.losing else ""
    if goal.p99_s is not None:
        wish = f"p99 of at most {seconds(goal.p99_s)} at {goal.load:g} x today's load"
    else:
        wish = "as soon as possible" if math.isinf(goal.at_most) else f"deadline {seconds(goal.at_most)}"
    wish += f"{losing}, with {goal.certainty:.0%}"
    failed = "" if found.chosen else "no setting that was tried does; the nearest: "
    if answer is None:
        return f"{wish}: no setting that was tried does"
    if answer is found.present:
        return f"{wish}: {failed or 'leave it as it is: '}{_sure(found, answer)}"
    parts = [count(len(answer.slots), "endpoint"), answer.strategy]
    parts += [count(answer.callers, _crew(answer))] if answer.callers else []
    return f"{wish}: {failed}{', '.join(parts)}: {_sure(found, answer)}"


def _sure(found: "PoolPlan", answer: "Setting") -> str:
    if not math.isfinite(answer.sure):
        return "it never ends" if found.goal.p99_s is None else "times grow without end"
    return f"sure of {seconds(answer.sure)}"


def _crew(setting: "Setting") -> str:
    return "problem" if setting.scenario.workload.kind == "batch" else "caller"


def _made_up(setting: "Setting") -> Iterator[str]:
    """Yield a line for all endpoints that do not exist yet and copy the same one."""
    for like, many in Counter(setting.made_up.values()).items():
        its = "its address" if many == 1 else "their addresses"
        yield f"{count(many, 'made-up server')} like {like}: replace {its}"


def config_remarks(found: "PoolPlan", setting: "Setting") -> list[str]:
    """Return what is to be known by whoever runs the config of a setting."""
    remarks = [plan_verdict(found), *([f"{count(setting.callers, _crew(setting))} at once"] if setting.callers else [])]
    remarks.append("a trace has only the names of endpoints: where a name is not an address, put the address in")
    return [*remarks, *_made_up(setting)]


def plan_text(found: "PoolPlan") -> str:
    """Return the answer, the settings beside it, and its shares by endpoint."""
    parts, answer = [plan_verdict(found)], found.chosen or found.nearest
    if answer is not None:
        parts += ["slots: " + ", ".join(f"{url} {slots}" for url, slots in answer.slots.items()), *_made_up(answer)]
    settings = {"fails": found.nearest, "answer": found.chosen}
    others = {name: each for name, each in settings.items() if each is not None and each is not found.present}
    rows = {name: _row(found, each) for name, each in {"as it is": found.present, **others}.items()}
    frame = DataFrame.from_dict(rows, orient="index").dropna(axis="columns", how="all")
    note = f"low and high: 95% intervals of one run; sure: with {found.goal.certainty:.0%}"
    parts += [*found.remarks, shown(frame), note]
    if answer is not None and len(answer.forecast.shares) > 1:
        shares = shown(DataFrame(_plain(answer.forecast.share_of)).T)
        parts += ["", "share of the calls, by endpoint of the answer", shares]
    return "\n".join(parts)


def _row(found: "PoolPlan", setting: "Setting") -> dict[str, Any]:
    figure = setting.forecast.figures.get(found.goal.figure) if math.isfinite(setting.sure) else None
    return {
        "strategy": setting.strategy, "servers": len(setting.slots), "slots": sum(setting.slots.values()),
        "callers": setting.callers, "cost": setting.cost, found.goal.figure: figure and figure.value,
        "low": figure and figure.low, "high": figure and figure.high, "sure_s": setting.sure,
        "lost": setting.forecast.mean("lost"), "does": setting.does,
    }  # fmt: skip


def plan_data(found: "PoolPlan") -> dict[str, Any]:
    """Return the answer, all settings that were tried, and the knee, as plain data."""
    named = {"present": found.present, "chosen": found.chosen, "nearest": found.nearest}
    return {
        "verdict": plan_verdict(found),
        "goal": {name: value for name, value in asdict(found.goal).items() if value not in (None, math.inf)},
        **{name: each and _data(each) for name, each in named.items()},
        "tried": [*map(_data, found.tried)],
        "remarks": list(found.remarks),
    }


def _data(setting: "Setting") -> dict[str, Any]:
    return {
        "strategy": setting.strategy,
        "callers": setting.callers,
        "endpoints": setting.slots,
        "made_up": setting.made_up,
        "cost": setting.cost,
        "figures": _plain(setting.forecast.figures),
        "shares": _plain(setting.forecast.share_of),
        "sure_s": setting.sure,
        "does": setting.does,
    }
