"""How many time limits are false where one server has far too much to do, beside a quiet one.

    python -m tests.benchmarks.bench_overload [--short]

Two servers that behave as SandboxFusion was seen to (`tests.fusion_like`), each on one core of its own: `busy` is given
24 programs at once, which it starts at once; `quiet`, which has that label, one at a time. No program is too slow: each
takes at most 0.1 s of CPU time, and has 1 s. So every time limit is false. Some that never end are among them, and must
be found.

"at first" are first answers that say time limit; "twice" those where a second look said so, too, and so what a rule of
two would have come to; "in the end" is what the run says. An overload is a lease that ended so, which health and limits
hear of.
"""

import argparse
import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

from balancer.endpoint import Endpoint
from balancer.judging.pending import RunnerHooks, RunnerOptions
from balancer.judging.runner import ProgramResult, ProgramRun, Runner
from balancer.pipeline.results.run_result import RunStage, Span
from balancer.pool.pool import Pool
from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.fusion.executor import FusionExecutor
from balancer.sandbox.fusion.wire import FusionRun
from balancer.settings.rules import LimitSettings
from tests.fusion_like import fusion_like

RUNS, ENDLESS, SHORT = 126, 6, 3  # SHORT: a short run has so many times fewer
CAPACITY = 24
LIMITS = Limits(cpu_s=1.0, wall_s=5.0)
_BURN = "import time\nwhile time.process_time() < {cpu_s}: pass\nprint('done')"
_LOOP = "while True: pass"


class _Natively(FusionExecutor):
    """Runs as the server would by itself, as everything did before there was a script."""

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        return self._run_natively(FusionRun(program, stdin, limits, files))


@dataclass(slots=True)
class _Seen:
    """All answers to each run, in order."""

    answers: dict[int, list[Execution]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one way to do it."""

    form: str
    limits: str
    runs: int
    at_first: int
    twice: int
    false: int
    unjudged: int
    endless: str
    overloads: int
    took_s: float


def _watched(executor: FusionExecutor, seen: _Seen) -> FusionExecutor:
    plain = executor.run

    def run(program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        execution = plain(program, stdin, limits, files)
        with seen.lock:
            seen.answers.setdefault(int(stdin), []).append(execution)
        return execution

    executor.run = run  # type: ignore[method-assign]
    return executor


@contextlib.contextmanager
def _servers() -> Iterator[dict[str, str]]:
    cores = sorted(os.sched_getaffinity(0))
    with fusion_like(cores[0]) as busy, fusion_like(cores[-1], first=True) as quiet:
        yield {"busy": busy, "quiet": quiet}


def _wanted(count: int, endless: int) -> list[ProgramRun]:
    rng = Random(9)
    sources = [_BURN.format(cpu_s=round(rng.uniform(0.01, 0.1), 3)) for _ in range(count)] + [_LOOP] * endless
    order = list(enumerate(sources))
    rng.shuffle(order)
    return [
        ProgramRun(Program("python", source), str(n).encode(), LIMITS, "p", RunStage.AGREE, f"{n}", n)
        for n, source in order
    ]


def measure(urls: dict[str, str], *, natively: bool, aimd: bool, count: int, endless: int) -> Row:
    """Run everything once, and count."""
    seen, spans = _Seen(), list[Span]()
    options = ExecutorOptions(languages=frozenset({"python"}))
    kind = _Natively if natively else FusionExecutor
    executors = {name: kind(url, options) for name, url in urls.items()}
    for executor in executors.values():
        executor.run(Program("python", "1"), b"", LIMITS, {})  # what is found out once, is
        _watched(executor, seen)
    pool = Pool(
        [
            Endpoint(urls["busy"], name="busy", capacity=CAPACITY),
            Endpoint(urls["quiet"], name="quiet", labels=frozenset({"quiet"})),
        ],
        limits=LimitSettings(kind="aimd", initial=CAPACITY) if aimd else None,
    )
    runner = Runner(pool, executors, RunnerOptions(attempts=5, quiet_label="quiet"), RunnerHooks(on_span=spans.append))
    wanted = _wanted(count, endless)
    began_s = time.monotonic()
    with ThreadPoolExecutor(CAPACITY + 1) as threads:
        found: list[tuple[ProgramRun, ProgramResult]] = list(zip(wanted, threads.map(runner.run, wanted), strict=True))
    took_s = time.monotonic() - began_s
    for executor in executors.values():
        executor.close()
    sound = [ran for each, ran in found if each.program.source != _LOOP]
    loops = [ran for each, ran in found if each.program.source == _LOOP]
    late = [
        [answer.status is Status.TIME_LIMIT for answer in seen.answers[each.case]]
        for each, _ in found
        if each.program.source != _LOOP
    ]
    ends = Counter(ran.execution.status if ran.execution else None for ran in sound)
    stopped = sum(ran.execution is not None and ran.execution.status is Status.TIME_LIMIT for ran in loops)
    return Row(
        form="natively" if natively else "by script",
        limits="aimd" if aimd else "fixed",
        runs=len(sound),
        at_first=sum(answers[0] for answers in late),
        twice=sum(answers[:2] == [True, True] for answers in late),
        false=ends[Status.TIME_LIMIT],
        unjudged=ends[None],
        endless=f"{stopped} of {len(loops)}",
        overloads=sum(span.outcome == "overload" for span in spans),
        took_s=took_s,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a third of the runs")
    short = parser.parse_args().short
    count, endless = (RUNS // SHORT, ENDLESS // SHORT) if short else (RUNS, ENDLESS)
    print("| runs are sent | limits | runs | time limits at first | twice | in the end | unjudged | endless found | "
          "overloads | seconds |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    with _servers() as urls:
        for natively in (True, False):
            for aimd in (False, True):
                row = measure(urls, natively=natively, aimd=aimd, count=count, endless=endless)
                print(
                    f"| {row.form} | {row.limits} | {row.runs} | {row.at_first} | {row.twice} | {row.false} | "
                    f"{row.unjudged} | {row.endless} | {row.overloads} | {row.took_s:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
