"""What to ask of an executor that nobody uses, to find out whether its endpoint is well.

Decides what counts as an answer. It must not know when it is asked, nor what follows for the endpoint.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from balancer.errors import EndpointError
from balancer.program import Executor, Limits, Program, Status

__all__ = ["pings_of"]

_PROGRAMS = {
    "python": Program("python", "print('pong')", "ping"),
    "cpp": Program("cpp", '#include <cstdio>\nint main() { puts("pong"); }', "ping"),
}
_LIMITS = Limits(cpu_s=2.0, wall_s=5.0, compile_s=10.0)


def pings_of(executors: Mapping[str, Executor], kind: Literal["ping", "program"]) -> dict[str, Callable[[], object]]:
    """Return what a `Prober` takes, for the executors of a run.

    Args:
        executors: one for each endpoint, by name.
        kind: "ping" asks whether the endpoint is there; "program" runs a tiny program, which finds out more and takes
            a core for some milliseconds. An executor that knows neither Python nor C++ is only asked.
    """
    return {name: executor.ping if kind == "ping" else _program_ping(executor) for name, executor in executors.items()}


def _program_ping(executor: Executor) -> Callable[[], object]:
    program = next((program for language, program in _PROGRAMS.items() if language in executor.languages), None)
    if program is None:
        return executor.ping

    def ping() -> None:
        done = executor.run(program, b"", _LIMITS, {})
        if done.status is not Status.FINISHED or done.exit_code != 0 or done.stdout.split() != [b"pong"]:
            raise EndpointError(f"a program that prints pong ended with {done.status.value}, {done.stdout[:80]!r}")

    return ping
