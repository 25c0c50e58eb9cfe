"""Judges over executors in memory, for tests."""

from collections.abc import Callable, Mapping
from typing import Any

from balancer.endpoint import Endpoint
from balancer.judge import Judge, Program
from balancer.opening.pool import Pool
from balancer.program import Execution
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import finished

__all__ = ["CASES", "DOUBLE", "WRONG", "doubling", "judge_over"]

DOUBLE, WRONG = Program("python", "double"), Program("python", "triple")
CASES = [("1", "2"), ("2", "4"), ("3", "6")]


def doubling(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
    """Run "double" and "triple"; any other source prints itself."""
    factor = {"double": 2, "triple": 3}.get(program.source)
    return finished(b"%d\n" % (factor * int(stdin)) if factor else program.source.encode())


def judge_over(
    executors: Mapping[str, FakeExecutor], *, capacity: int = 1, labels: Callable[[str], set[str]] = lambda name: set(),
    **options: Any,
) -> Judge:  # fmt: skip
    """Return a judge over a pool of these, which nobody takes out of service."""
    pool = Pool(
        [Endpoint(name, capacity=capacity, labels=frozenset(labels(name))) for name in executors],
        strategy="fifo",
        health=None,
    )
    return Judge(pool, executors=executors, **options)
