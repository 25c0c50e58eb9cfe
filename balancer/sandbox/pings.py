"""Probes of idle executors: a ping, or a program whose only right output is known.

Decides what counts as an answer: a program that is run must print what follows from a number that was drawn just now,
so neither another program's output nor an old one will do. It must not know when it is asked, nor what follows for the
endpoint.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from balancer.errors import EndpointError
from balancer.program import Execution, Executor, Limits, Program, Status
from balancer.sandbox.trial import runs

__all__ = ["KnownAnswer", "known_answer", "pings_of"]

_FACTOR, _PRIME = 48271, 2**31 - 1
_PROGRAMS = {  # the number is read, so that the source stays the same and is compiled once
    "python": Program("python", f"print(int(input()) * {_FACTOR} % {_PRIME})", "ping"),
    "cpp": Program(
        "cpp",
        "#include <iostream>\nint main() { long long n; std::cin >> n; "
        f'std::cout << n * {_FACTOR} % {_PRIME} << "\\n"; }}',
        "ping",
    ),
}
_LIMITS = Limits(cpu_s=2.0, wall_s=5.0, compile_s=10.0)


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A program, an input that was drawn just now, and the only right output."""

    program: Program
    stdin: bytes
    limits: Limits
    output: bytes

    def is_right(self, done: Execution) -> bool:
        """Return whether it ended as it must."""
        return done.status is Status.FINISHED and done.exit_code == 0 and done.stdout.split() == [self.output]

    def is_wrong(self, done: Execution) -> bool:
        """Return whether it ended well, with another output; a crash or a limit is a fault, and no lie."""
        return done.status is Status.FINISHED and done.exit_code == 0 and not self.is_right(done)


def known_answer(executor: Executor) -> KnownAnswer | None:
    """Return a program whose answer is known, in a language that `executor` runs; None: it knows neither."""
    program = next((program for language, program in _PROGRAMS.items() if runs(executor, language)), None)
    if program is None:
        return None
    number = 1 + secrets.randbelow(_PRIME - 1)
    return KnownAnswer(program, b"%d\n" % number, _LIMITS, b"%d" % (number * _FACTOR % _PRIME))


def pings_of(executors: Mapping[str, Executor], kind: Literal["ping", "program"]) -> dict[str, Callable[[], object]]:
    """Return what a `Prober` takes, for the executors of a run.

    Args:
        executors: one for each endpoint, by name.
        kind: "ping" asks whether the endpoint is there; "program" runs a tiny program, which finds out more and takes
            a core for some milliseconds. An executor that knows neither Python nor C++ is only asked.
    """
    return {name: executor.ping if kind == "ping" else _program_ping(executor) for name, executor in executors.items()}


def _program_ping(executor: Executor) -> Callable[[], object]:
    def ping() -> None:
        known = known_answer(executor)
        if known is None:
            executor.ping()
            return
        done = executor.run(known.program, known.stdin, known.limits, {})
        if not known.is_right(done):
            wanted = known.output.decode()
            raise EndpointError(f"a program that prints {wanted} ended with {done.status.value}, {done.stdout[:80]!r}")

    return ping
