"""The protections of programs' runs on this machine, and what is missing of them, for people.

Decides what is said of each means, and what to do where one cannot be had. It must not change anything.
"""

import os
from collections.abc import Iterator

from balancer.sandbox.local.cgroups import own_cgroups
from balancer.sandbox.local.isolation import Isolation
from balancer.sandbox.local.isolation.base import filters_calls
from balancer.sandbox.local.isolation.calls import filter_of_calls

__all__ = ["protections_of"]

_COUNTED = {"cpuacct": "CPU time", "memory": "memory", "pids": "processes"}
_DELEGATE = "run as root, or in a group of your own: systemd-run --user --scope -p Delegate=yes balancer ..."


def protections_of(isolation: Isolation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what protects the runs of `isolation`, and what does not, each with what to do: a phrase for each."""
    told = [*_told(isolation)]
    return tuple(words for there, words in told if there), tuple(words for there, words in told if not there)


def _told(isolation: Isolation) -> Iterator[tuple[bool, str]]:
    if isolation.nested:
        yield True, "what reports their end is out of their reach"
    else:
        yield False, "no isolation: use another one"
    calls, why = filter_of_calls()
    if calls and not isolation.reads_calls and not filters_calls():
        calls, why = b"", "setpriv is too old for it; install util-linux 2.41 or bubblewrap"
    yield bool(calls), "system calls are filtered" if calls else f"system calls are not filtered: {why}"
    versions = own_cgroups().versions
    for version in sorted(set(versions.values())):
        names = _listed([words for name, words in _COUNTED.items() if versions.get(name) == version])
        yield True, f"control groups (version {version}) for {names}"
    if missing := [words for name, words in _COUNTED.items() if name not in versions]:
        yield False, f"no control groups for {_listed(missing)}: {_DELEGATE}"
    if os.geteuid() == 0:
        yield True, "each run has a user of its own"
    else:
        yield False, "all runs share this user: run as root for one each"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
