"""What comparing an output costs, beside the same in decimals alone, measured in the same run.

    python -m tests.benchmarks.bench_compare [--short]

Both are timed in the CPU time of this thread, in turns, and each ratio is taken within a turn; the table shows medians.
The sizes double, so that what is not linear shows: the time of a token must not grow.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from balancer.judging.compare import compare, parse_flags
from tests.unit.pipeline import slow_compare

FULL, SHORT = (250_000, 500_000, 1_000_000), (25_000, 50_000, 100_000)
TURNS = 5

Made = tuple[bytes, bytes]
"""An output, and the expected one."""


def _lines(tokens: Sequence[str]) -> bytes:
    return "\n".join(tokens).encode()


def _reals(values: Sequence[float]) -> Made:
    return _lines([f"{value + 1e-7:.9f}" for value in values]), _lines([f"{value:.6f}" for value in values])


def _longest(values: Sequence[float]) -> Made:
    return _lines([repr(value * (1 + 1e-9)) for value in values]), _lines([repr(value) for value in values])


def _cases(values: Sequence[float]) -> Made:
    output = [f"Case #{number}: {value + 1e-7:.9f}" for number, value in enumerate(values[::3])]
    return _lines(output), _lines([f"Case #{number}: {value:.6f}" for number, value in enumerate(values[::3])])


def _words(values: Sequence[float]) -> Made:
    words = [f"Word{value:.6f}" for value in values]
    return _lines(words).upper(), _lines(words)


def _spaced(values: Sequence[float]) -> Made:
    text = _lines([f"{value:.6f}" for value in values])
    return text + b"\n", text


KINDS: dict[str, tuple[str, Callable[[Sequence[float]], Made]]] = {
    "reals, 6 and 9 decimals": ("float_tolerance 1e-6", _reals),
    "reals, all digits": ("float_tolerance 1e-6", _longest),
    "Case #n: real": ("float_tolerance 1e-6", _cases),
    "words, other case": ("", _words),
    "the same but for an end of line": ("float_tolerance 1e-6", _spaced),
}


def _cpu_s(act: Callable[[], object]) -> float:
    began_s = time.thread_time()
    act()
    return time.thread_time() - began_s


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a tenth of the tokens")
    sizes = SHORT if parser.parse_args().short else FULL
    rng = random.Random(1)
    table = Table("what", "tokens", "now, s", "us a token", "decimals alone, s", "times as fast")
    for kind, (flags, make) in KINDS.items():
        for size in sizes:
            output, answer = make([rng.uniform(-1e6, 1e6) for _ in range(size)])
            quick, slow = parse_flags(flags.split()), slow_compare.parse_flags(flags.split())
            assert compare(output, answer, quick).accepted is slow_compare.compare(output, answer, slow).accepted
            taken = [
                (
                    _cpu_s(lambda: compare(output, answer, quick)),  # noqa: B023 (called at once)
                    _cpu_s(lambda: slow_compare.compare(output, answer, slow)),  # noqa: B023
                )
                for _ in range(TURNS)
            ]
            now_s, then_s = (statistics.median(each) for each in zip(*taken, strict=True))
            ratio = statistics.median(then / now for now, then in taken)
            table.add_row(kind, f"{size}", f"{now_s:.3f}", f"{now_s / size * 1e6:.2f}", f"{then_s:.3f}", f"{ratio:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
