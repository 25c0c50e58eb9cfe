"""What comparing an output costs, beside the same in decimals alone, measured in the same run.

    python -m tests.benchmarks.bench_compare [--short]

Both are timed in the CPU time of this thread, in turns.
The sizes double, so that what is not linear shows: the time of a token must not grow.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from balancer.judging.compare import compare, parse_flags
from tests.benchmarks.harness import Row, in_turns, options, show, timed
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


def _rows(sizes: Sequence[int]) -> Iterator[Row]:
    rng = random.Random(1)
    for kind, (flags, make) in KINDS.items():
        quick, slow = parse_flags(flags.split()), slow_compare.parse_flags(flags.split())
        for size in sizes:
            output, answer = make([rng.uniform(-1e6, 1e6) for _ in range(size)])
            now, then = partial(compare, output, answer, quick), partial(slow_compare.compare, output, answer, slow)
            assert now().accepted is then().accepted
            turns = in_turns({"now": partial(timed, now), "then": partial(timed, then)}, TURNS, warm=0)
            now_s, ratio = turns.median("now"), turns.ratio("then", "now")
            us = f"{now_s / size * 1e6:.2f}"
            yield kind, size, f"{now_s:.3f}", us, f"{turns.median('then'):.3f}", f"{ratio:.1f}"


def main() -> None:
    """Print the table."""
    sizes = SHORT if options(__doc__, "a tenth of the tokens").short else FULL
    show("what | tokens | now, s | us a token | decimals alone, s | times as fast", _rows(sizes))


if __name__ == "__main__":
    main()
