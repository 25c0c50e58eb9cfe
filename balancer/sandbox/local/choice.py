"""Choose the isolation that works on this machine, by trying.

Decides by trying: the answer of a probe (running `true`) holds for the life of the process. It must not know
what will be run.
"""

import functools
from pathlib import Path

from balancer.errors import ConfigError, EndpointError
from balancer.program import Limits
from balancer.sandbox.local.isolation import AUTO, ISOLATIONS, Isolation
from balancer.sandbox.local.jail import IsolatedCommand, Jail
from balancer.scratch import Scratch

__all__ = ["choose_isolation", "open_to_others", "probe"]

_PROBE = IsolatedCommand(("true",), Limits(cpu_s=1.0, wall_s=10.0))


def choose_isolation(name: str) -> Isolation:
    """Return the isolation called `name`; for "auto" the first one that works here.

    Raises:
        ConfigError: there is none of that name, or it does not work on this machine.
    """
    if name != "auto" and name not in ISOLATIONS:
        raise ConfigError(f"isolation is {name!r}; allowed are 'auto', {', '.join(map(repr, ISOLATIONS))}")
    tried = AUTO if name == "auto" else (name,)
    failures = {}
    for candidate in tried:
        reason = probe(candidate)
        if not reason:
            return ISOLATIONS[candidate]
        failures[candidate] = reason
    raise ConfigError(_complaint(failures))


@functools.cache
def probe(name: str) -> str:
    """Return "" if the isolation called `name` works here, else why not. Tried once per process."""
    with Scratch("balancer-probe-") as folder:
        jail = Jail(ISOLATIONS[name], open_to_others(folder.path), endpoint=name)
        try:
            ended = jail.run(_PROBE)
        except EndpointError as error:
            return error.reason
    return "" if ended.exit_code == 0 else f"`true` ended with {ended.exit_code}"


def open_to_others(folder: Path) -> Path:
    """Let other users pass through `folder`, whose content they cannot list, and return it."""
    folder.chmod(0o711)
    return folder


def _complaint(failures: dict[str, str]) -> str:
    tried = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    advice = ", or ".join(ISOLATIONS[name].advice for name in failures)
    complaint = f"no isolation works here ({tried}); {advice}"
    if "rlimits" in failures:
        return complaint
    return (
        f"{complaint}; isolation = 'rlimits' runs programs without any isolation: "
        "they can read your files, use the network and outlive their run"
    )
