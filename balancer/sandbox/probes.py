"""Probes of executors: pings, programs with a known answer, and trials of languages.

A known answer depends on a random number, so the output of another or an earlier run is never right.

A language trial runs a tiny program once, when the language is first needed. If the endpoint fails or is slow, the
trial says nothing about the language, and is not remembered.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from balancer.errors import EndpointError
from balancer.program import Execution, Executor, Language, Limits, Program, Status

__all__ = ["HELLO_LIMITS", "KnownAnswer", "Trials", "known_answer", "pings_of", "runs"]

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
# Ample: compilers of some languages take seconds for the shortest program, and more when all cores are busy.
HELLO_LIMITS = Limits(cpu_s=10.0, wall_s=30.0, compile_s=60.0)


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A program, a random input, and the only right output."""

    program: Program
    stdin: bytes
    limits: Limits
    output: bytes

    def is_right(self, done: Execution) -> bool:
        """Return whether the program ended well with the right output."""
        return done.status is Status.FINISHED and done.exit_code == 0 and done.stdout.split() == [self.output]

    def is_wrong(self, done: Execution) -> bool:
        """Return whether the program ended well with another output. A crash or a limit is a fault instead."""
        return done.status is Status.FINISHED and done.exit_code == 0 and not self.is_right(done)


def known_answer(executor: Executor, limits: Limits = _LIMITS) -> KnownAnswer | None:
    """Return a program with a known answer, in a language that `executor` runs; None if there is no such language."""
    program = next((program for language, program in _PROGRAMS.items() if runs(executor, language)), None)
    if program is None:
        return None
    number = 1 + secrets.randbelow(_PRIME - 1)
    return KnownAnswer(program, b"%d\n" % number, limits, b"%d" % (number * _FACTOR % _PRIME))


def pings_of(
    executors: Mapping[str, Executor], kind: Literal["ping", "program"], limits: Limits = _LIMITS
) -> dict[str, Callable[[], object]]:
    """Return the pings for a `Prober`, by endpoint name.

    Args:
        executors: one for each endpoint, by name.
        kind: "ping" asks whether the endpoint is there; "program" runs a tiny program, which tests more and uses a core
            for some milliseconds. An executor that knows neither Python nor C++ is only asked.
        limits: of the program.
    """
    return {
        name: executor.ping if kind == "ping" else _program_ping(executor, limits)
        for name, executor in executors.items()
    }


def _program_ping(executor: Executor, limits: Limits) -> Callable[[], object]:
    def ping() -> None:
        known = known_answer(executor, limits)
        if known is None:
            executor.ping()
            return
        done = executor.run(known.program, known.stdin, known.limits, {})
        if not known.is_right(done):
            wanted = known.output.decode()
            raise EndpointError(f"a program that prints {wanted} ended with {done.status.value}, {done.stdout[:80]!r}")

    return ping


class Trials:
    """What is known of the languages of one endpoint, or of several equal ones. Thread-safe.

    Args:
        run: runs a program; raises EndpointError if the endpoint fails.
        known: results so far, to which new ones are added; equal endpoints may share it.
    """

    def __init__(self, run: Callable[[Program], Execution], known: dict[Language, bool] | None = None) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._known = {} if known is None else known
        self._down = False

    def works(self, language: Language, *, again: bool = False) -> bool | None:
        """Return whether the endpoint runs `language`; None if unknown, or if the language has no "hello" program.

        After a failure the endpoint is not tried again, unless `again`: a dead endpoint delays callers only once.
        """
        if not language.hello:
            return None
        if language not in self._known and (again or not self._down):
            with self._lock:
                if language not in self._known and (again or not self._down):  # neither while it waited
                    found = self._try(language)
                    if found is not None:
                        self._known[language] = found
        return self._known.get(language)

    def _try(self, language: Language) -> bool | None:
        """Return the result of a trial; None if it says nothing."""
        try:
            done = self._run(Program(language.name, language.hello, f"hello.{language.name}"))
        except EndpointError:
            self._down = True
            return None
        except ValueError:  # the trial cannot be sent
            return False
        if done.doubtful or done.status is Status.TIME_LIMIT:
            return None
        return done.status is Status.FINISHED and done.exit_code == 0 and done.stdout.split() == [b"pong"]


def runs(executor: Executor, language: str) -> bool:
    """Return whether `executor` runs `language`: by its method `runs`, if it has one."""
    ask: Callable[[str], bool] | None = getattr(executor, "runs", None)
    return language in executor.languages if ask is None else ask(language)
