"""Try a strategy, a capacity or a number of workers in virtual time, before anyone pays for it.

The names here are the public ones. The simulator drives the production core (`balancer.core`) with the registered
strategies; it is itself a plugin, which adds `balancer simulate` and `balancer compare`.

A name is imported when it is first used: whoever only wants a pool loads the plugin, and must not pay for numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.distributions import Deterministic, Empirical, Exponential, Hyperexponential, Lognormal, Pareto
    from simulator.engine import simulate_once
    from simulator.faults import CrashRepair, FailWithin, FastFail, SlowWithin, Warmup
    from simulator.intervals import Interval
    from simulator.progress import StudyProgress
    from simulator.record import Record
    from simulator.scenario import Change, EndpointModel, Host, Policy, Scenario, load_scenario
    from simulator.study import Study, run_study
    from simulator.sweep import Sweep, run_sweep
    from simulator.workload import Arrivals, Batch, Closed, Kind, OnOff, Poisson, Requests, Stage

__all__ = [
    "Arrivals",
    "Batch",
    "Change",
    "Closed",
    "CrashRepair",
    "Deterministic",
    "Empirical",
    "EndpointModel",
    "Exponential",
    "FailWithin",
    "FastFail",
    "Host",
    "Hyperexponential",
    "Interval",
    "Kind",
    "Lognormal",
    "OnOff",
    "Pareto",
    "Poisson",
    "Policy",
    "Record",
    "Requests",
    "Scenario",
    "SlowWithin",
    "Stage",
    "Study",
    "StudyProgress",
    "Sweep",
    "Warmup",
    "load_scenario",
    "run_study",
    "run_sweep",
    "simulate_once",
]

_HOMES = {
    "distributions": ("Deterministic", "Empirical", "Exponential", "Hyperexponential", "Lognormal", "Pareto"),
    "engine": ("simulate_once",),
    "faults": ("CrashRepair", "FailWithin", "FastFail", "SlowWithin", "Warmup"),
    "intervals": ("Interval",),
    "progress": ("StudyProgress",),
    "record": ("Record",),
    "scenario": ("Change", "EndpointModel", "Host", "Policy", "Scenario", "load_scenario"),
    "study": ("Study", "run_study"),
    "sweep": ("Sweep", "run_sweep"),
    "workload": ("Arrivals", "Batch", "Closed", "Kind", "OnOff", "Poisson", "Requests", "Stage"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"simulator.{_HOME_OF[name]}"), name)
