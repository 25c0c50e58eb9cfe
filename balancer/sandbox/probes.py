"""Probes of executors: a ping, a program whose only right output is known, a trial of a language.

Decides what counts as an answer: a program that is run must print what follows from a number that was drawn just now,
so neither another program's output nor an old one will do.

Language trials: find out with a tiny program whether an endpoint runs a language, once, when it is first needed.
Decides what a try says. That the endpoint fails, or is slow, says nothing of the language, and is not remembered.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from balancer.errors import EndpointError
from balancer.language import Language
from balancer.program import Execution, Executor, Limits, Program, Status

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


class Trials:
    """What is known of the languages of one endpoint, or of several that are the same. Thread-safe.

    Args:
        run: runs a program; raises EndpointError if the endpoint fails.
        known: what is known already, and what is found out; endpoints that are the same may share it.
    """

    def __init__(self, run: Callable[[Program], Execution], known: dict[Language, bool] | None = None) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._known = {} if known is None else known
        self._down = False

    def works(self, language: Language, *, again: bool = False) -> bool | None:
        """Return whether the endpoint runs `language`; None while nobody knows, or where there is no "hello".

        An endpoint that has failed a try is not tried any more, unless `again`: nobody waits for a dead one twice.
        """
        if not language.hello:
            return None
        if self._down and not again:
            return self._known.get(language)
        with self._lock:
            turn = self._turns.setdefault(language.name, threading.Lock())
        with turn:
            found = self._known.get(language)
            if found is None:
                if self._down and not again:  # it failed while we waited for our turn
                    return None
                found = self._try(language)
                if found is not None:
                    self._known[language] = found
        return found

    def _try(self, language: Language) -> bool | None:
        """Return what a try says; None: nothing."""
        try:
            done = self._run(Program(language.name, language.hello, f"hello.{language.name}"))
        except EndpointError:
            self._down = True
            return None
        except ValueError:  # it cannot even be asked
            return False
        if done.doubtful or done.status is Status.TIME_LIMIT:
            return None
        return done.status is Status.FINISHED and done.exit_code == 0 and done.stdout.split() == [b"pong"]


def runs(executor: Executor, language: str) -> bool:
    """Return whether `executor` runs `language`: by its own word, if it has a method `runs`."""
    ask: Callable[[str], bool] | None = getattr(executor, "runs", None)
    return language in executor.languages if ask is None else ask(language)
