"""Many callers at once: each gets the answer to its own question."""

from balancer.program import Limits, Program
from tests.threads.crew import crew


def test_limits_on_processes_do_not_add_up(isolated):
    """Four programs, each with as many processes as one may have, at the same time."""
    source = """
import os, sys, time
for _ in range(6):
    if os.fork() == 0: time.sleep(0.5); os._exit(0)
print("all born")
"""
    outputs: list[bytes] = []

    limits = Limits(cpu_s=10.0, wall_s=100.0, processes=7)
    crew(4, lambda number: outputs.append(isolated.run(Program("python", source), b"", limits, {}).stdout))
    assert outputs == [b"all born\n"] * 4
