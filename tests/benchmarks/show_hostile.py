"""What each hostile program got on each isolation of this machine, with control groups and without.

    python -m tests.benchmarks.show_hostile [--only WORD] [--without calls]

A line for each program and isolation: how it ended (exit code, or the limit), the CPU seconds and the MiB of memory
that were measured, and the wall seconds of the run; first with control groups, then without. "BROKEN" stands where it
did not get what it must; in brackets where that is not promised without control groups (or the filter).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from unittest.mock import patch

from balancer.errors import EndpointError
from balancer.program import ExecutorOptions, Status
from balancer.sandbox.local import jail
from balancer.sandbox.local.cgroups import Cgroups
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.isolation import ISOLATIONS
from balancer.sandbox.local.jail import probe
from tests.benchmarks.harness import options
from tests.integration.sandbox.attacks.attack import Attack, faults_of, run
from tests.integration.sandbox.attacks.table import ATTACKS

_LIMITS: Mapping[Status, str] = {
    Status.TIME_LIMIT: "time",
    Status.MEMORY_LIMIT: "memory",
    Status.OUTPUT_LIMIT: "output",
}


@contextmanager
def _made(isolation: str, cache: str, off: frozenset[str]) -> Iterator[LocalExecutor]:
    """Make the executor of a machine that lacks `off`: "groups", "calls"."""
    with ExitStack() as patches:
        if "groups" in off:
            patches.enter_context(patch.object(jail, "own_cgroups", lambda: Cgroups({})))
        if "calls" in off:
            patches.enter_context(patch.object(jail, "filter_of_calls", lambda: (b"", "switched off")))
        executor = LocalExecutor(f"local://{isolation}", ExecutorOptions(isolation=isolation, cache_dir=cache))
    try:
        yield executor
    finally:
        executor.close()


def _cell(executor: LocalExecutor, attack: Attack, off: frozenset[str]) -> str:
    started_s = time.monotonic()
    try:
        execution = run(executor, attack, "hostile")
    except EndpointError as error:
        return f"UNJUDGED {error.reason}"
    took_s = time.monotonic() - started_s
    end = _LIMITS.get(execution.status, f"exit {execution.exit_code}")
    mib = "?" if execution.memory_bytes is None else f"{execution.memory_bytes / 2**20:.0f}"
    broken = "" if not faults_of(attack, execution) else "(broken)" if attack.needs & off else "BROKEN"
    return f"{end:>9} {execution.time_s:6.2f} {mib:>5} {took_s:6.2f} {broken:8}"


def main() -> None:
    """Print the table."""
    asked = options(
        __doc__,
        only=("", "programs whose name has this in it"),
        without=("", '"calls": switch the filter of calls off as well'),
    )
    lacks = frozenset({asked.without} - {""})
    columns = [lacks, lacks | {"groups"}]
    with TemporaryDirectory(prefix="balancer-hostile-") as cache, ExitStack() as stack:
        made = {
            name: [stack.enter_context(_made(name, cache, off)) for off in columns]
            for name in ISOLATIONS
            if not probe(name)
        }
        print(f"{'':58}{'with control groups':40}without")
        head = f"{'end':>9} {'CPU s':>6} {'MiB':>5} {'wall':>6} {'':8}"
        print(f"{'program':46}{'isolation':12}{head} {head}".rstrip())
        for attack in ATTACKS:
            for name, executors in made.items():
                if name in attack.on and asked.only in attack.name:
                    cells = (_cell(executor, attack, off) for executor, off in zip(executors, columns, strict=True))
                    print(f"{attack.name:46}{name:12}{' '.join(cells)}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
