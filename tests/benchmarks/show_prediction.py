"""Predicted from the first tenth of a run, beside what came: the tables of docs/measurements.md.

    python -m tests.benchmarks.show_prediction            # five minutes of runs, then predictions
    python -m tests.benchmarks.show_prediction --recommend    # a run that is too slow, and what to do
    python -m tests.benchmarks.show_prediction --short    # one run; fails if it is far off
    python -m tests.benchmarks.show_prediction --simulated 100    # simulated runs: no machine that is busy meanwhile

Four HTTP servers on this machine, which sleep: A, B and C take 120, 180 and 300 ms on average; D takes 150 ms, works on
two calls at once although it has four slots, and answers 503 at once from 1 to 2.4 s, so that the pool's health takes
it out. 32 threads make the calls, one after the other or with pauses. The pool writes a trace, of which the predictions
see what had been written when a tenth of the calls were over.

A machine that is busy with other things makes all calls longer, now more and now less, which nobody can predict. So a
thread that does nothing but sleep 20 ms says how late it woke, in the first tenth and in the rest of each run.
"""

import argparse
import asyncio
import http.client
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from balancer_simulator import (
    Closed,
    EndpointModel,
    Lognormal,
    Requests,
    Scenario,
    backtest,
    fit_trace,
    recommend,
)
from balancer_simulator.predicting.backtest import BacktestCut
from balancer_simulator.report.recommendation import recommendation_lines

from balancer import Endpoint, EndpointError, Pool
from balancer.observing.traces import Trace, read_trace
from tests.benchmarks.harness import Row, beside, options, stream
from tests.simulation.made_traces import made_trace

THREADS = 32
STRATEGIES = ("fifo", "least_in_flight", "peak_ewma")
LOADS = {"back to back": 0.0, "with pauses of 0.3 s": 0.3}
MEANS_S = {"A": 0.12, "B": 0.18, "C": 0.3, "D": 0.15}
SLOTS = dict.fromkeys(MEANS_S, 4)
PARALLEL = {"D": 2}
FAILS_S = {"D": (1.0, 2.4)}
_SPREAD = 0.5  # deviation of the logarithm


class Server:
    """Answers a GET after a while; all servers live in one thread, so they cost little."""

    def __init__(self, name: str, seed: str) -> None:
        self._mean_s = MEANS_S[name]
        self._fails_s = FAILS_S.get(name, (0.0, 0.0))
        self._lines = asyncio.Semaphore(PARALLEL.get(name, 1000))
        self._rng = random.Random(f"{name} {seed}")
        self._began_s = time.monotonic()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                from_s, to_s = self._fails_s
                if from_s <= time.monotonic() - self._began_s < to_s:
                    await asyncio.sleep(0.005)
                    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                    continue
                takes_s = self._mean_s * self._rng.lognormvariate(-(_SPREAD**2) / 2, _SPREAD)
                async with self._lines:
                    await asyncio.sleep(takes_s)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()


@contextmanager
def cluster(seed: str) -> Iterator[dict[str, str]]:
    """Serve, and give the URL of each server by its name."""
    loop = asyncio.new_event_loop()
    urls: dict[str, str] = {}
    servers = []

    async def begin() -> None:
        for name in MEANS_S:
            servers.append(await asyncio.start_server(Server(name, seed).serve, "127.0.0.1", 0))
            urls[name] = f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/"

    async def end() -> None:
        for server in servers:
            server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(begin(), loop).result()
        yield urls
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def watch(over: threading.Event, late_s: list[float]) -> None:
    """Note how late a thread wakes that does nothing but sleep: what the machine itself adds to a call."""
    while not over.is_set():
        began_s = time.monotonic()
        time.sleep(0.02)
        late_s.append(time.monotonic() - began_s - 0.02)


class Caller:
    """Makes calls until all have been made."""

    def __init__(self, pool: Pool, number: int, left: Iterator[int], pause_s: float, seed: str) -> None:
        self._pool, self._left, self._pause_s = pool, left, pause_s
        self._name = f"caller {number}"
        self._rng = random.Random(f"{seed} {number}")
        self._connections: dict[str, http.client.HTTPConnection] = {}

    def run(self) -> None:
        """Pause, take the next call, make it."""
        while True:
            if self._pause_s:
                time.sleep(self._rng.expovariate(1 / self._pause_s))
            if next(self._left, None) is None:
                break
            with suppress(EndpointError), self._pool.lease(holder=self._name) as lease:
                self._call(lease.endpoint.url)
        for connection in self._connections.values():
            connection.close()

    def _call(self, url: str) -> None:
        if url not in self._connections:
            self._connections[url] = http.client.HTTPConnection(urlsplit(url).netloc)
        connection = self._connections[url]
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise EndpointError(f"answered {answer.status}")


def measured(
    strategy: str,
    pause_s: float,
    calls: int,
    seed: int,
    folder: Path,
    *,
    workers: int = THREADS,
    slots: Mapping[str, int] = SLOTS,
) -> tuple[Trace, list[float]]:
    """Make the calls and return the trace, and how late threads woke; what is in the folder is not made again."""
    path = folder / f"{strategy}-{pause_s}-{calls}-{workers}-{sum(slots.values())}-{seed}.jsonl"
    late = path.with_suffix(".late.json")
    if late.exists():
        return read_trace(path), json.loads(late.read_text())
    path.unlink(missing_ok=True)
    over, noticed_s = threading.Event(), list[float]()
    case = f"{strategy} {pause_s} {seed}"  # runs have nothing in common, and neither have their errors
    with cluster(case) as urls, beside([partial(watch, over, noticed_s)], over):
        endpoints = [Endpoint(urls[name], name=name, capacity=many, host=name) for name, many in slots.items()]
        with Pool(endpoints, strategy=strategy, seed=seed) as pool:
            pool.trace(path)
            left = iter(range(calls))  # which is asked by threads, one at a time: of C
            with beside([Caller(pool, number, left, pause_s, case).run for number in range(workers)]):
                pass
    late.write_text(json.dumps(noticed_s))
    return read_trace(path), noticed_s


def cells(test: BacktestCut, late_s: list[float]) -> Row:
    """Return a row's cells: makespan and p99 wait, predicted and real, and how late the machine was."""
    found = []
    for name in ("makespan_s", "wait_p99_s"):
        each, came = test.prediction.figures[name], test.came[name]
        verdict = "" if each.holds(came) else " *"
        found += [
            f"{each.value:.3g} ({each.low:.3g} to {each.high:.3g})",
            f"{came:.3g}{verdict}",
            f"{test.error(name):+.1%}",
        ]
    cut = max(1, round(len(late_s) * test.prediction.at_s / test.came["makespan_s"]))
    first, rest = (1000 * statistics.fmean(part) for part in (late_s[:cut], late_s[cut:] or late_s))
    return *found, f"{first:.1f}, {rest:.1f}"


def recommended(folder: Path, deadline_s: float = 13.0, calls: int = 700) -> None:
    """Print what is recommended where a run was too slow, and what comes of it."""
    trace, _ = measured("fifo", 0.0, calls, 1, folder, workers=8)
    found = recommend(fit_trace(trace), deadline_s=deadline_s)
    for line in recommendation_lines(found):
        print(line)
    outlook = found.chosen or found.nearest
    names = {f"http://{name}/": name for name in MEANS_S}
    slots = {names[model.url]: model.capacity for model in outlook.scenario.endpoints if model.url in names}
    setting = outlook.setting
    for seed in (2, 3, 4):
        ran, late_s = measured(setting.strategy, 0.0, calls, seed, folder, workers=setting.workers, slots=slots)
        came_s = max(each.ended_s for each in ran.attempts) - min(each.asked_s for each in ran.attempts)
        late_ms = 1000 * statistics.fmean(late_s)
        print(f"run with {slots}, {setting.workers} workers: over after {came_s:.3g} s; late {late_ms:.1f} ms")


def told_of(what: str, errors: Sequence[float], held: Sequence[bool]) -> float:
    """Print how far predictions were off, and return the median."""
    off = [abs(error) for error in errors]
    intervals = f"{sum(held)} of {len(held)} intervals hold what came"
    print(f"{what}median error {statistics.median(off):.1%}, largest {max(off):.1%}; {intervals}")
    return statistics.median(off)


def made_up(seed: int, calls: int) -> Trace:
    """Return the trace of a simulated run: some endpoints, of different speed, some of them work on fewer at once."""
    rng = random.Random(seed)
    models = []
    for number in range(rng.randint(2, 5)):
        capacity = rng.randint(1, 4)
        models.append(
            EndpointModel(
                url=f"http://e{number}/", capacity=capacity,
                parallel=rng.choice([None, None, max(1, capacity // 2)]),
                service=Lognormal(mean_s=rng.uniform(0.05, 0.3), cv=rng.choice([0.3, 0.6, 1.0])),
            )
        )  # fmt: skip
    slots = sum(model.capacity for model in models)
    scenario = Scenario(
        workload=Closed(workers=rng.choice([slots, 2 * slots]), calls=calls), endpoints=models,
        requests=Requests(attempts=1), horizon_s=1e4, health=None, seed=seed,
    )  # fmt: skip
    return made_trace(scenario, rng.choice(STRATEGIES))


def simulated(runs: int, calls: int, seen: Sequence[int], draws: int) -> None:
    """Print how many intervals hold what came, of runs whose truth is the simulator, after so many calls."""

    def row(many: int) -> Row:
        tests = [
            test
            for seed in range(1, 1 + runs)
            for test in backtest(made_up(seed, calls), [(many + 0.5) / calls], draws=draws, outages=False).tests
        ]
        cells = []
        for figure in ("makespan_s", "wait_p99_s"):
            held = sum(test.prediction.figures[figure].holds(test.came[figure]) for test in tests)
            parts = [abs(test.error(figure)) for test in tests if test.came[figure] > 0]
            cells += [f"{held} of {len(tests)}", f"{statistics.median(parts):.1%}"]
        return many, *cells

    print(f"{runs} simulated runs of {calls} calls")
    stream("calls seen | makespan held | median error | p99 wait held | median error", map(row, seen))


def real(asked: argparse.Namespace, folder: Path) -> None:
    """Print what was predicted of real runs from a part of them, and what came."""
    calls, draws, part = (600, 15, 0.3) if asked.short else (3000, asked.draws, 0.1)
    cases = [(s, load) for s in STRATEGIES for load in LOADS][: 1 if asked.short else None]
    traces = {
        (strategy, load, seed): measured(strategy, LOADS[load], calls, seed, folder)
        for seed in range(1, 1 + asked.rounds)
        for strategy, load in cases
    }
    tests = []

    def rows() -> Iterator[Row]:
        for (strategy, load, _), (trace, late_s) in traces.items():
            (test,) = backtest(trace, [part], draws=draws, outages=False).tests
            tests.append(test)
            yield f"`{strategy}`", load, *cells(test, late_s)

    predicted = f"makespan from {part:.0%}, s | came | error | p99 wait, s | came | error"
    stream(f"strategy | callers | {predicted} | late, ms", rows())
    off = [
        told_of(
            f"{figure}: ",
            [test.error(figure) for test in tests],
            [test.prediction.figures[figure].holds(test.came[figure]) for test in tests],
        )
        for figure in ("makespan_s", "wait_p99_s")
    ]
    if asked.short and off[0] > 0.25:
        sys.exit("the prediction is off by more than a quarter")


def main() -> None:
    """Print the table that was asked for."""
    asked = options(
        __doc__,
        "one run; fails if it is far off",
        recommend=(False, "a run that is too slow, and what to do"),
        rounds=(1, "runs of each kind"),
        draws=(40, "of each prediction"),
        keep=(Path, "keep the traces in this folder"),
        simulated=(int, "so many simulated runs instead of real ones"),
        calls=(1000, "of each simulated run"),
        seen=([100], "calls after which it is predicted"),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = asked.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if asked.simulated:
            simulated(asked.simulated, asked.calls, asked.seen, asked.draws)
        elif asked.recommend:
            recommended(folder)
        else:
            real(asked, folder)


if __name__ == "__main__":
    main()
