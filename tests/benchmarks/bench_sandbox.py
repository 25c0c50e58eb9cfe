"""What a run in the local sandbox costs, beside a bare subprocess and a bare `bwrap`.

    python -m tests.benchmarks.bench_sandbox [--short]

Python that prints a number, and the same in C++: as a subprocess; below `bwrap` with all namespaces and the binds that
a program needs; and by a `LocalExecutor`, which adds limits, a filter, a group, a user, a private folder and its end.
All in turn, so that what else the machine does meets them alike. Milliseconds of CPU of all processes, as a control
group counts them (needs root), and those that a caller waits for one run; medians, and of the ratios of neighbours.
One run after the other, and a thread for each core that makes runs.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from balancer.program import ExecutorOptions, Limits, Program
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.local.cgroups import ControlGroup, own_cgroups
from balancer.sandbox.local.compile import CompileJob
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import probe
from tests.benchmarks.harness import Turns, in_turns, options

TURNS, SHORT = 40, 8
_RUNS = 5  # of each way in a turn
_SETTLE_S = 0.05  # for what an executor prepares or removes after a run
_LIMITS = Limits(cpu_s=2.0, wall_s=60.0)
_SOURCES = {"python": "print(7)\n", "cpp": '#include <cstdio>\nint main() { puts("7"); }\n'}
_BWRAP = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"),
    *("--symlink", "usr/lib64", "/lib64", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives"),
    *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/box", "--chdir", "/box"),
)


def _ways(executor: LocalExecutor, language: str, folder: Path) -> dict[str, Callable[[], bytes]]:
    """Return the ways to run the program, each of which returns what it printed."""
    program = Program(language, _SOURCES[language])
    if language == "cpp":
        known = executor._toolchain.languages[language]
        compiled = executor._compiler.compile(CompileJob(known, lay_out(known, program), _LIMITS))
        assert compiled.binary is not None
        command, show = (str(compiled.binary),), ("--ro-bind", str(compiled.binary), "/program")
        inside: tuple[str, ...] = ("/program",)
    else:
        file = folder / "main.py"
        file.write_text(program.source)
        command, show = ("/usr/bin/python3", str(file)), ("--ro-bind", str(file), "/box/main.py")
        inside = ("/usr/bin/python3", "/box/main.py")

    def subprocess_of(*argv: str) -> Callable[[], bytes]:
        return lambda: subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout

    return {
        "subprocess": subprocess_of(*command),
        "bwrap": subprocess_of(*_BWRAP, *show, "--", *inside),
        "run": lambda: executor.run(program, b"", _LIMITS, {}).stdout,
    }


def main() -> None:
    """Print two lines for each language, from a process that is in a control group of its own."""
    turns = SHORT if options(__doc__, "fewer turns").short else TURNS
    if reason := probe("bubblewrap"):
        print(f"nothing to compare with, as bubblewrap does not work here: {reason}")
        return
    with own_cgroups().lend() as group:
        if group is None or group.cpu_s() is None:
            print("nothing can be measured, as no control group can be made here: run as root")
            return
        sys.stdout.flush()
        if child := os.fork():
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        status = 1
        try:
            group.add(os.getpid())
            _measure(group, turns)
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)


def _measure(group: ControlGroup, turns: int) -> None:
    executor = LocalExecutor("local://bench", ExecutorOptions(isolation="bubblewrap"))
    try:
        with tempfile.TemporaryDirectory(prefix="balancer-bench-") as folder:
            for language in _SOURCES:
                ways = _ways(executor, language, Path(folder))
                for threads in (1, os.cpu_count() or 1):
                    with ThreadPoolExecutor(threads) as makers:
                        waited: dict[str, list[float]] = {name: [] for name in ways}
                        acts = {name: _spent(group, act, makers, waited[name]) for name, act in ways.items()}
                        _show(f"{language}, {threads} at once", in_turns(acts, turns), waited)
    finally:
        executor.close()


def _spent(
    group: ControlGroup, act: Callable[[], bytes], makers: ThreadPoolExecutor, waited: list[float]
) -> Callable[[], float]:
    """Return what makes some runs, and returns the CPU seconds of one. Adds to `waited` the seconds of each."""

    def once(_: int) -> bytes:
        began_s = time.monotonic()
        printed = act()
        waited.append(time.monotonic() - began_s)
        return printed

    def spend() -> float:
        began_s = group.cpu_s() or 0.0
        assert {*makers.map(once, range(_RUNS))} == {b"7\n"}
        time.sleep(_SETTLE_S)
        return ((group.cpu_s() or 0.0) - began_s) / _RUNS

    return spend


def _show(title: str, turns: Turns, waited: dict[str, list[float]]) -> None:
    medians = ", ".join(f"{name} {turns.median(name) * 1e3:.2f} ms" for name in turns.took)
    ratios = ", ".join(f"{name} / bwrap {turns.ratio(name, 'bwrap'):.2f}" for name in turns.took if name != "bwrap")
    waits = ", ".join(f"{name} {median(each) * 1e3:.1f} ms" for name, each in waited.items())
    print(f"{title}: CPU {medians}; {ratios}; waited {waits}", flush=True)


if __name__ == "__main__":
    main()
