"""What a judge makes of servers that die and drown in mid-run, and how many programs a second it judges.

    python -m tests.benchmarks.bench_judge [--short | --completions N] [--rate-only]

Completions are judged twice over three `balancer sandbox` servers of one worker each: once in peace, and once while one
server is killed when a third of them is judged, and another one is flooded from then on until two thirds are: by twelve
clients that send endless programs, more than its queue holds. There are right and wrong ones, by standard input and by
calls, too slow ones, hostile ones, and some without code. "differ" are those whose score is not what it was in peace,
nor what it must be; "unjudged" those without a score. Both ought to be 0.

Then programs that cost nothing are judged on two servers that answer at once, each in a process of its own: how many a
second, from threads and from tasks, with so many slots. "cores" is the CPU time of the judging process by wall time: 1
is all that a process with a global lock can use. "client" is what the HTTP client alone can do, one call after the
other: no lease, no judging.
"""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import httpx2

from balancer.endpoint import Endpoint
from balancer.judge import Job, Judge, Judged, Program
from balancer.pool.pool import Pool
from balancer.program import ExecutorOptions, Limits
from balancer.sandbox.fusion.executor import FusionExecutor
from balancer.settings.rules import HealthSettings
from tests.benchmarks.harness import Row, beside, options, stream, together
from tests.instant import instant_server
from tests.patience import PATIENCE_S
from tests.servers import RunningServer, running_server

FULL, SHORT = 5000, 100
CPU_S = 1.0
FLOOD = 12
_PAUSE_S = 0.05  # who is refused comes again so soon; without it the flood, not the judge, had this process
PROGRAMS, SLOTS = 3000, (2, 8, 32)

_SUM = {"inputs": ["1 2\n", "10 20\n", "5 5\n"], "outputs": ["3\n", "30\n", "10\n"]}
_METHOD = "class Solution:\n    def total(self, xs: List[int]):\n        return sum(xs)"
_CALL = {"fn_name": "total", "inputs": [[[1, 2]], [[10, 20]], [[]]], "outputs": [[3], [30], [0]]}
_ENDLESS = "while True: pass"

# kind -> (its share of a hundred, the tests, sources, the score that each must have)
_KINDS = {
    "right": (36, _SUM, ("print(sum(map(int, input().split())))", "a, b = map(int, input().split())\nprint(a + b)"), 1),
    "right call": (14, _CALL, ("def total(xs):\n    return sum(xs)", _METHOD), 1),
    "wrong": (18, _SUM, ("print(3)", "a, b = map(int, input().split())\nprint(a - b)", "print(undefined)"), 0),
    "wrong call": (8, _CALL, ("def total(xs):\n    return max(xs)", "def other(xs):\n    return sum(xs)"), 0),
    "slow": (3, _SUM, (_ENDLESS, "print(sum(1 for _ in range(10**12)))"), 0),
    "hostile": (
        10,
        _SUM,
        (
            "import os\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)",
            "while True: print('x' * 10**6)",
            "x = [bytearray(10**8) for _ in range(10**4)]",
            "import sys\nsys.stderr.write('balancer ran 0')\nsys.exit(0)",
            "print(open('/etc/passwd').read())",
            "import os\nos.system('rm -rf / 2>/dev/null')\nprint(0)",
            "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (99, 99))\nprint(0)",
        ),
        0,
    ),
    "hostile call": (
        4,
        _CALL,
        (
            "def total(xs):\n    import os\n    os._exit(0)",
            "class Yes:\n    def __eq__(self, other):\n        return True\ndef total(xs):\n    return Yes()",
            "import sys\nprint('[3, 30, 0]')\nsys.exit(0)",
        ),
        0,
    ),
    "no code": (7, _SUM, ("",), 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote, of what kind it is, and the score that it must have."""

    kind: str
    job: Job
    score: float


def completions(count: int) -> Iterator[Completion]:
    """Yield completions, the same ones each time, in the same order."""
    rng = Random(11)
    kinds = list(_KINDS)
    for number in range(count):
        kind = rng.choices(kinds, [_KINDS[each][0] for each in kinds])[0]
        _, tests, sources, score = _KINDS[kind]
        source = rng.choice(sources)
        thought = "<think>\n```python\nprint('no')\n```\n</think>\n" if rng.random() < 0.3 else ""
        text = f"{thought}Here it is.\n```python\n# {number}\n{source}\n```\nThat is all."
        if kind == "no code":
            text = f"{thought}I do not know how to do that."
        yield Completion(kind, Job.of(text, tests, tag=kind), score)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run."""

    judged: tuple[Judged, ...]
    took_s: float
    failures: int
    retries: int


def judge_all(urls: list[str], count: int, at: dict[int, threading.Event], *, tasks: bool = False) -> Run:
    """Judge them; set each event of `at` once so many are judged."""
    # A server that is flooded answers late: it is not for its slowness that one is taken out here.
    pool = Pool([Endpoint(url) for url in urls], health=HealthSettings(cooldown_s=5.0))
    limits = Limits(cpu_s=CPU_S, wall_s=3 * CPU_S + 2, memory_bytes=512 * 2**20, output_bytes=2**20)
    found: list[Judged] = []

    def take(judged: Judged) -> None:
        found.append(judged)
        if len(found) in at:
            at[len(found)].set()

    jobs = (each.job for each in completions(count))
    began_s = time.monotonic()
    with Judge(pool, limits=limits) as judge:
        if tasks:

            async def each() -> None:
                async for judged in judge.arun_many(jobs):
                    take(judged)

            asyncio.run(each())
        else:
            for judged in judge.run_many(jobs):
                take(judged)
    took_s = time.monotonic() - began_s
    stats = pool.stats()
    assert not pool.leases()
    return Run(tuple(found), took_s, stats.failures, stats.retries)


def _flood(url: str, over: threading.Event) -> None:
    body = {"code": _ENDLESS, "language": "python", "run_timeout": 2}
    while not over.wait(_PAUSE_S):
        with contextlib.suppress(httpx2.HTTPError):
            httpx2.post(f"{url}run_code", json=body, timeout=30, trust_env=False)


def in_peace(count: int) -> Run:
    """Judge over three servers that nobody else uses."""
    with _three() as servers:
        return judge_all([each.url for each in servers], count, {})


def in_trouble(count: int, *, tasks: bool = False) -> Run:
    """Judge over three servers, of which one dies and another one is flooded."""
    begin, over = threading.Event(), threading.Event()
    with _three() as servers:

        def trouble() -> None:
            assert begin.wait(PATIENCE_S * 10)
            os.kill(servers[0].pid, signal.SIGKILL)
            together(FLOOD, lambda: _flood(servers[1].url, over))

        with beside([trouble], over):
            try:
                at = {count // 3: begin, 2 * count // 3: over}
                return judge_all([each.url for each in servers], count, at, tasks=tasks)
            finally:
                begin.set()


@contextlib.contextmanager
def _three() -> Iterator[list[RunningServer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running_server(workers=1, queue=4)) for _ in range(3)]


def differing(count: int, quiet: Run, troubled: Run) -> list[str]:
    """Return a line for each completion whose score is not what it must be, or was in peace."""
    return [
        f"{number}: {each.kind}: must be {each.score}, was {one.score} in peace ({one.note}), {other.score} in trouble "
        f"({other.note})"
        for number, (each, one, other) in enumerate(zip(completions(count), quiet.judged, troubled.judged, strict=True))
        if not each.score == one.score == other.score
    ]


def _rates(programs: int) -> None:
    with instant_server() as one, instant_server() as other:
        executor = FusionExecutor(one, ExecutorOptions(languages=frozenset({"python"})))
        executor.run(Program("python", "1"), b"", Limits(), {})
        began_s = time.perf_counter()
        for number in range(programs):
            executor.run(Program("python", f"print(4, {number})"), b"2", Limits(), {})
        alone = programs / (time.perf_counter() - began_s)
        executor.close()

        def cells(slots: int) -> Iterator[str]:
            yield f"{slots}"
            with Judge(Pool([Endpoint(url, capacity=slots // 2) for url in (one, other)])) as judge:
                for tasks in (False, True):
                    _rate(judge, 50, tasks=tasks)  # what is found out once, is
                    rate, cores = _rate(judge, programs, tasks=tasks)
                    yield from (f"{rate:.0f}", f"{cores:.2f}")

        stream(
            "slots | threads, programs/s | cores | tasks, programs/s | cores", (tuple(cells(slots)) for slots in SLOTS)
        )
    print(f"\nclient: {alone:.0f} calls/s, one after the other")


def _rate(judge: Judge, programs: int, *, tasks: bool) -> tuple[float, float]:
    jobs = (Job(Program("python", f"print(4, {number})"), [("2", "4")]) for number in range(programs))

    async def count() -> int:
        return sum([1 async for judged in judge.arun_many(jobs) if judged.score == 1])

    began_s, used_s = time.perf_counter(), time.process_time()
    done = asyncio.run(count()) if tasks else sum(judged.score == 1 for judged in judge.run_many(jobs))
    took_s = time.perf_counter() - began_s
    assert done == programs, f"{done} of {programs} were accepted"
    return programs / took_s, (time.process_time() - used_s) / took_s


def _row(name: str, form: str, run: Run) -> Row:
    scores = Counter(judged.score for judged in run.judged)
    counted = (scores[1.0], scores[None], run.failures, run.retries)
    return name, form, len(run.judged), *counted, f"{run.took_s:.0f}"


def main() -> None:
    """Print both tables."""
    asked = options(
        __doc__,
        f"{SHORT} completions, and a tenth of the programs",
        completions=(int, f"how many; default {FULL}"),
        rate_only=(False, "only the second table"),
    )
    count = asked.completions or (SHORT if asked.short else FULL)
    lines: list[str] = []

    def rows() -> Iterator[Row]:
        yield _row("in peace", "threads", quiet := in_peace(count))
        for tasks in (False, True):
            troubled = in_trouble(count, tasks=tasks)
            yield _row("in trouble", "tasks" if tasks else "threads", troubled)
            lines.extend(differing(count, quiet, troubled))

    if not asked.rate_only:
        stream("run | from | completions | score 1 | unjudged | failed calls | retries | seconds", rows())
        print(f"\ndiffer: {len(lines)}", *lines[:20], "", sep="\n")
    _rates(PROGRAMS // 10 if asked.short else PROGRAMS)


if __name__ == "__main__":
    main()
