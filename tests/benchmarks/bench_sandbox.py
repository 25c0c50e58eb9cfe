"""What a run in the local sandbox costs, beside a bare subprocess and a bare `bwrap`.

    python -m tests.benchmarks.bench_sandbox [--short]

Python that prints a number, and the same in C++: as a subprocess; below `bwrap` with all namespaces and the binds that
a program needs; and by a `LocalExecutor`, which adds limits, a filter, a group, a user, a private folder and its end.
All three in turn, so that what else the machine does meets them alike. Medians of wall milliseconds, and of the ratios
of neighbours. An executor has its next sandbox made while others are at work, so that a run does not wait for it; made
it has to be all the same, so what a run costs where a thread for each core makes runs is shown as well.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from balancer.program import ExecutorOptions, Limits, Program
from balancer.sandbox.languages.layout import lay_out
from balancer.sandbox.local.compile import CompileJob
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import probe
from tests.benchmarks.harness import Turns, in_turns, options, timed

ROUNDS, SHORT = 200, 15
_TURNS = 3
_LIMITS = Limits(cpu_s=2.0, wall_s=60.0)
_SOURCES = {"python": "print(7)\n", "cpp": '#include <cstdio>\nint main() { puts("7"); }\n'}
_BWRAP = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"),
    *("--symlink", "usr/lib64", "/lib64", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives"),
    *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/box", "--chdir", "/box"),
)


def _timed(act: Callable[[], bytes]) -> float:
    def ends() -> None:
        assert act() == b"7\n"

    return timed(ends, time.perf_counter)


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
        command, show = (executor._toolchain.python, str(file)), ("--ro-bind", str(file), "/box/main.py")
        inside = (executor._toolchain.python, "/box/main.py")

    def subprocess_of(*argv: str) -> Callable[[], bytes]:
        return lambda: subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout

    return {
        "subprocess": subprocess_of(*command),
        "bwrap": subprocess_of(*_BWRAP, *show, "--", *inside),
        "run": lambda: executor.run(program, b"", _LIMITS, {}).stdout,
    }


def main() -> None:
    """Print a line for each language."""
    rounds = SHORT if options(__doc__, "fewer rounds").short else ROUNDS
    if reason := probe("bubblewrap"):
        print(f"nothing to compare with, as bubblewrap does not work here: {reason}")
        return
    executor = LocalExecutor("local://bench", ExecutorOptions(isolation="bubblewrap"))
    try:
        with tempfile.TemporaryDirectory(prefix="balancer-bench-") as folder:
            for language in _SOURCES:
                ways = _ways(executor, language, Path(folder))
                _show(language, in_turns({name: partial(_timed, act) for name, act in ways.items()}, rounds))
                _show_busy(language, _busy(ways, rounds))
    finally:
        executor.close()


def _busy(ways: dict[str, Callable[[], bytes]], rounds: int) -> dict[str, float]:
    """Return the seconds of each run where a thread for each core makes runs, the ways in turn."""
    took = dict.fromkeys(ways, 0.0)
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for _ in range(_TURNS):
            for name, act in ways.items():
                all_s = timed(lambda act=act: list(threads.map(_timed, [act] * rounds)), time.perf_counter)
                took[name] += all_s / rounds / _TURNS
    return took


def _show_busy(language: str, took: dict[str, float]) -> None:
    each = ", ".join(f"{name} {took_s * 1e3:.2f} ms" for name, took_s in took.items())
    print(f"{language:7} all cores busy: {each}; run / bwrap {took['run'] / took['bwrap']:.2f}", flush=True)


def _show(language: str, turns: Turns) -> None:
    medians = ", ".join(f"{name} {turns.median(name) * 1e3:.2f} ms" for name in turns.took)
    fastest = min(turns.took["run"]) / min(turns.took["bwrap"])
    ratio = turns.ratio("run", "bwrap")
    print(f"{language:7} {medians}; run / bwrap {ratio:.2f} (of the fastest of each {fastest:.2f})", flush=True)


if __name__ == "__main__":
    main()
