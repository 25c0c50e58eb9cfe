"""Completions are judged on real servers of which one dies and one drowns: the scores are what they must be."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import httpx2
import pytest

from balancer.endpoint import Endpoint
from balancer.judge import Job, Judge, Judged
from balancer.opening.pool import Pool
from balancer.program import Limits
from balancer.settings.rules import HealthSettings
from tests.benchmarks.harness import beside, together
from tests.patience import PATIENCE_S
from tests.servers import running_server

COUNT, CPU_S, FLOOD = 40, 1.0, 12
_PAUSE_S = 0.05  # who is refused comes again so soon; without it the flood, not the judge, had this process

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


def _flood(url: str, over: threading.Event) -> None:
    body = {"code": _ENDLESS, "language": "python", "run_timeout": 2}
    while not over.wait(_PAUSE_S):
        with contextlib.suppress(httpx2.HTTPError):
            httpx2.post(f"{url}run_code", json=body, timeout=30, trust_env=False)


async def _judged(judge: Judge, begin: threading.Event, over: threading.Event) -> list[Judged]:
    """Judge all; trouble begins when a third is judged, and the flood ends when two thirds are."""
    at, found = {COUNT // 3: begin, 2 * COUNT // 3: over}, list[Judged]()
    async for judged in judge.arun_many(each.job for each in completions(COUNT)):
        found.append(judged)
        if len(found) in at:
            at[len(found)].set()
    return found


def in_trouble() -> tuple[list[Judged], int]:
    """Judge over three servers, of which one dies and another one is flooded; return that, and the failed calls."""
    begin, over = threading.Event(), threading.Event()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_server(workers=1, queue=4)) for _ in range(3)]

        def trouble() -> None:
            assert begin.wait(PATIENCE_S * 10)
            os.kill(servers[0].pid, signal.SIGKILL)
            together(FLOOD, lambda: _flood(servers[1].url, over))

        # A server that is flooded answers late: it is not for its slowness that one is taken out here.
        pool = Pool([Endpoint(each.url) for each in servers], health=HealthSettings(cooldown_s=5.0))
        limits = Limits(cpu_s=CPU_S, wall_s=3 * CPU_S + 2, memory_bytes=512 * 2**20, output_bytes=2**20)
        with beside([trouble], over):
            try:
                with Judge(pool, limits=limits) as judge:
                    found = asyncio.run(_judged(judge, begin, over))
            finally:
                begin.set()
    assert not pool.leases()
    return found, pool.stats().failures


@pytest.mark.more
def test_no_score_is_a_servers_doing():
    found, failures = in_trouble()
    wrong = [
        f"{number}, {each.kind}: {judged.score}, {judged.note}"
        for number, (each, judged) in enumerate(zip(completions(COUNT), found, strict=True))
        if judged.score != each.score
    ]
    assert not wrong
    assert failures > 0, "no call failed: there was no trouble"
