"""Simulator: try a strategy, a capacity or a number of workers in virtual time.

The names here are public. The simulator drives the production core (`balancer.core`) with the registered strategies. It
is itself a plugin, which adds `balancer simulate`, `fit`, `predict` and `plan`.

A name is imported when it is first used, because a program that only needs a pool also loads the plugin and should not
import numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from balancer.plugins.extras import require

if TYPE_CHECKING:
    from balancer_simulator.fitting.fit import Fit, fit_trace
    from balancer_simulator.planning.plan import Goal, PoolPlan, plan
    from balancer_simulator.planning.planner import Predicted
    from balancer_simulator.planning.predict import Check, check, predict
    from balancer_simulator.planning.shown import Prediction
    from balancer_simulator.planning.what_if import WhatIf
    from balancer_simulator.run.engine import simulate_once
    from balancer_simulator.run.joined import JoinedRun
    from balancer_simulator.run.record import Record
    from balancer_simulator.scenario.distributions import (
        Deterministic,
        Empirical,
        Exponential,
        Lognormal,
        Pareto,
    )
    from balancer_simulator.scenario.endpoints import (
        Change,
        CrashRepair,
        EndpointModel,
        FailWithin,
        Host,
        SlowSpells,
        SlowWithin,
    )
    from balancer_simulator.scenario.fields import Policy, PolicySessions
    from balancer_simulator.scenario.scenario import Scenario, load_scenario
    from balancer_simulator.scenario.workload import (
        Arrivals,
        Batch,
        Closed,
        Conversations,
        Kind,
        OnOff,
        Poisson,
        Requests,
        Stage,
    )
    from balancer_simulator.studies.intervals import Interval
    from balancer_simulator.studies.study import Study, run_study
    from balancer_simulator.studies.sweep import Sweep, run_sweep

__all__ = [
    "Arrivals",
    "Batch",
    "Change",
    "Check",
    "Closed",
    "Conversations",
    "CrashRepair",
    "Deterministic",
    "Empirical",
    "EndpointModel",
    "Exponential",
    "FailWithin",
    "Fit",
    "Goal",
    "Host",
    "Interval",
    "JoinedRun",
    "Kind",
    "Lognormal",
    "OnOff",
    "Pareto",
    "Poisson",
    "Policy",
    "PolicySessions",
    "PoolPlan",
    "Predicted",
    "Prediction",
    "Record",
    "Requests",
    "Scenario",
    "SlowSpells",
    "SlowWithin",
    "Stage",
    "Study",
    "Sweep",
    "WhatIf",
    "check",
    "fit_trace",
    "load_scenario",
    "plan",
    "predict",
    "run_study",
    "run_sweep",
    "simulate_once",
]

_HOMES = {
    "fitting.fit": "Fit fit_trace",
    "planning.plan": "Goal PoolPlan plan",
    "planning.predict": "Check check predict",
    "planning.planner": "Predicted",
    "planning.shown": "Prediction",
    "planning.what_if": "WhatIf",
    "run.engine": "simulate_once",
    "run.joined": "JoinedRun",
    "run.record": "Record",
    "scenario.distributions": "Deterministic Empirical Exponential Lognormal Pareto",
    "scenario.endpoints": "Change CrashRepair EndpointModel FailWithin Host SlowSpells SlowWithin",
    "scenario.fields": "Policy PolicySessions",
    "scenario.scenario": "Scenario load_scenario",
    "scenario.workload": "Arrivals Batch Closed Conversations Kind OnOff Poisson Requests Stage",
    "studies.intervals": "Interval",
    "studies.study": "Study run_study",
    "studies.sweep": "Sweep run_sweep",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"balancer_simulator.{_HOME_OF[name]}"), name)
    except ModuleNotFoundError:
        require("simulator", f"balancer_simulator.{name}")
        raise
