"""How a generator's own program ended, in words for people and for a model. Decides which line of many is shown."""

from balancer.program import Execution, Status

__all__ = ["ended"]

_SHOWN = 160


def ended(execution: Execution) -> str:
    """Return how it ended, and the most telling line that it printed on standard error, if there is one."""
    lines = [line.strip() for line in execution.stderr.decode(errors="replace").splitlines() if line.strip()]
    told = lines[-1:]
    if execution.status is Status.COMPILE_ERROR:  # a compiler goes on for long about the first mistake
        told = [line for line in lines if "error" in line][:1] or told
    how = f"exit code {execution.exit_code}"
    if execution.exit_code is None or execution.status is not Status.FINISHED:
        how = execution.status.value.replace("_", " ")
    return f"{how}: {told[0][:_SHOWN]}" if told else how
