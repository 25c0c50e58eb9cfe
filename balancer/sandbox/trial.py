"""Language trials: find out with a tiny program whether an endpoint runs a language, once, when it is first needed.

Decides what a try says. That the endpoint fails, or is slow, says nothing of the language, and is not remembered. It
must not know how programs are run.
"""

import threading
from collections.abc import Callable

from balancer.errors import EndpointError
from balancer.language import Language
from balancer.program import Execution, Executor, Limits, Program, Status

__all__ = ["HELLO_LIMITS", "Trials", "runs"]

# Ample: compilers of some languages take seconds for the shortest program, and more when all cores are busy.
HELLO_LIMITS = Limits(cpu_s=10.0, wall_s=30.0, compile_s=60.0)


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
