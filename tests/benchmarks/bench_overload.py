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

import contextlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
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
from tests.benchmarks.harness import Row, options, stream
from tests.fusion_like import fusion_like

RUNS, ENDLESS, SHORT = 126, 6, 3  # SHORT: a short run has so many times fewer
CAPACITY = 24
LIMITS = Limits(cpu_s=1.0, wall_s=5.0)
_BURN = "import time\nwhile time.process_time() < {cpu_s}: pass\nprint('done')"
Seen = dict[int, list[Execution]]  # all answers to each run, in order
_LOOP = "while True: pass"


class _Natively(FusionExecutor):
    """Runs as the server would by itself, as everything did before there was a script."""

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        return self._run_natively(FusionRun(program, stdin, limits, files))


def _watched(executor: FusionExecutor, seen: Seen) -> FusionExecutor:
    plain = executor.run

    def run(program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        execution = plain(program, stdin, limits, files)
        seen[int(stdin)].append(execution)  # a run has one thread at a time
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
    spans = list[Span]()
    seen: Seen = defaultdict(list)
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
        [answer.status is Status.TIME_LIMIT for answer in seen[each.case]]
        for each, _ in found
        if each.program.source != _LOOP
    ]
    ends = Counter(ran.execution.status if ran.execution else None for ran in sound)
    stopped = sum(ran.execution is not None and ran.execution.status is Status.TIME_LIMIT for ran in loops)
    return (
        "natively" if natively else "by script",
        "aimd" if aimd else "fixed",
        len(sound),
        sum(answers[0] for answers in late),
        sum(answers[:2] == [True, True] for answers in late),
        ends[Status.TIME_LIMIT],
        ends[None],
        f"{stopped} of {len(loops)}",
        sum(span.outcome == "overload" for span in spans),
        f"{took_s:.0f}",
    )


def main() -> None:
    """Print the table."""
    part = SHORT if options(__doc__, "a third of the runs").short else 1
    head = "runs are sent | limits | runs | time limits at first | twice | in the end | unjudged | endless found"
    with _servers() as urls:
        ways = product((True, False), (False, True))
        rows = (measure(urls, natively=n, aimd=a, count=RUNS // part, endless=ENDLESS // part) for n, a in ways)
        stream(f"{head} | overloads | seconds", rows)


if __name__ == "__main__":
    main()
