"""Forecasts of a run's end, from the run's own trace, in another process.

Decides when to forecast: after 15 s, then each time the run is half as old again, but at most once a minute.
An error there becomes a line for the user, and the run continues. A plugin computes the forecast.
"""

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from balancer.hookspecs import Forecast, ForecasterPlugin
from balancer.observing.traces.tracing import TraceWriter
from balancer.pipeline.progress import Progress
from balancer.pipeline.results.database import DATABASE
from balancer.pipeline.results.predictions import EndPrediction, prediction_line

__all__ = ["USUAL", "EndForecaster", "ForecastPlan", "ForecastSchedule"]

_GUESSES: Final = 40
_LOOK_S: Final = 2.0  # until there is a basis for a forecast
_DRAWN: Final = 200_000  # problems in all guesses together; they are drawn in this process
_LONGEST_S: Final = 600.0  # seconds for a prediction
_LARGEST: Final = 200_000_000  # bytes of a trace so far; after that there are no further forecasts
_MODULE: Final = "balancer.pipeline.running.forecast_process"


@dataclass(frozen=True, slots=True)
class ForecastSchedule:
    """When to forecast: after `first_s`, then when the run is `factor` times as old, at least `every_s` later."""

    first_s: float = 15.0
    every_s: float = 60.0
    factor: float = 1.5


USUAL: Final = ForecastSchedule()


@dataclass(frozen=True, slots=True)
class ForecastPlan:
    """What is forecast.

    Attributes:
        at_once: problems at work at once.
        folder: has the database with the trace.
        began_s: start of the session, by `time.monotonic`.
        schedule: when to forecast.
    """

    at_once: int
    folder: Path
    began_s: float
    schedule: ForecastSchedule = USUAL


class EndForecaster:
    """Forecasts the end of a session while it runs. Use it as a `with` block.

    Args:
        trace: writes the trace of the run's pool into its database.
        plugin: the forecaster.
        progress: knows the work left, and prints a line for each forecast.
        keep: is called with all predictions of this session when there is a new one.
        plan: what is forecast, and when.
    """

    def __init__(
        self,
        trace: TraceWriter,
        plugin: ForecasterPlugin,
        progress: Progress,
        keep: Callable[[list[EndPrediction]], object],
        plan: ForecastPlan,
    ) -> None:
        self._trace = trace
        self._plugin = plugin
        self._progress = progress
        self._at_once = plan.at_once
        self._database, self._so_far = plan.folder / DATABASE, plan.folder / "so-far.trace.jsonl"
        self._began_s = plan.began_s
        self._keep = keep
        self._schedule = plan.schedule
        self._stop = threading.Event()
        self._made: list[EndPrediction] = []
        self._rng = random.Random(1)
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._go_on, name="forecast", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._halt()
        with suppress(OSError):
            self._so_far.unlink(missing_ok=True)

    def _halt(self) -> None:
        """Stop forecasting, and kill the forecast under way."""
        self._stop.set()
        process = self._process
        if process is not None:
            _kill(process)
        self._thread.join()

    def over(self) -> None:
        """Record that the session ended with all its work done."""
        self._halt()
        came_s = time.monotonic() - self._began_s
        self._made = [replace(each, came_s=came_s) for each in self._made]
        if self._made:
            self._keep(self._made)

    def _go_on(self) -> None:
        next_s = self._schedule.first_s
        while not self._stop.wait(max(0.0, self._began_s + next_s - time.monotonic())):
            at_s = time.monotonic() - self._began_s
            try:
                if not self._forecast(at_s):
                    next_s = at_s + min(_LOOK_S, self._schedule.every_s)
                    continue
                if self._so_far.exists() and self._so_far.stat().st_size > _LARGEST:
                    return
            except Exception as error:  # no error here may harm the run
                if self._stop.is_set():
                    return
                self._progress.say(f"the end of the run cannot be predicted: {_short(error)}")
            next_s = max(at_s * self._schedule.factor, time.monotonic() - self._began_s + self._schedule.every_s)

    def _forecast(self, at_s: float) -> bool:
        """Forecast the end, as of now. Return False if there is no basis for it."""
        known = self._progress.guesses(self._rng, _GUESSES, most=_DRAWN)
        if known is None:
            return False
        done, left, names = known
        if len(left[0]) < 2 * self._at_once:  # with few problems left, the past tells nothing about the end
            return False
        order = {
            "function": self._plugin.function, "database": str(self._database), "until_s": self._trace.flush(),
            "trace": str(self._so_far), "run": self._trace.run, "done": done, "left": left, "at_once": self._at_once,
            "names": names, "path": sys.path,
        }  # fmt: skip
        found = self._asked(order)
        if self._stop.is_set():
            return True
        if "cannot" in found:
            self._progress.say(f"the end of the run cannot be predicted yet: {found['cannot']}")
            return True
        forecast = Forecast(**found)
        if not 0 <= forecast.low_s <= forecast.left_s <= forecast.high_s < math.inf:
            raise ValueError(f"{self._plugin.name} returned {forecast}, which is not a time")
        made = EndPrediction(
            at_s, at_s + forecast.left_s, at_s + forecast.low_s, at_s + forecast.high_s, forecast.calls, forecast.advice
        )
        self._made.append(made)
        self._keep(self._made)
        since_s = time.monotonic() - self._began_s - at_s
        if since_s >= forecast.high_s:  # its time has already passed: keep it as a miss, and do not show it
            return True
        self._progress.say(prediction_line(made, since_s))
        return True

    def _asked(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have another process carry out an order. Return its answer."""
        with subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
            start_new_session=True,  # a Ctrl-C must reach only the run, which ends this process itself
        ) as process:  # fmt: skip
            self._process = process
            if self._stop.is_set():
                _kill(process)
            try:
                said, wrong = process.communicate(json.dumps(order), timeout=_LONGEST_S)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise TimeoutError(f"it took longer than {_LONGEST_S:.0f} s") from None
            finally:
                self._process = None
        if process.returncode:
            last = wrong.strip().splitlines()[-1:]
            raise RuntimeError(last[0] if last else f"its process ended with {process.returncode}")
        found: dict[str, Any] = json.loads(said)
        return found


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill a process and its children; it leads a session of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
