"""What problem.yaml and .timelimit say: name, limits, and how outputs are compared.

Both formats are understood: the legacy one (ICPC, Kattis) and that of 2023-07, with their spellings. Data and
programs are read elsewhere.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import Findings, Folder, describe

__all__ = ["ProblemSettings", "read_settings"]

_FILE = "problem.yaml"
_TIME_LIMIT_FILE = ".timelimit"
_MIB = 2**20
_SECONDS = "a number of seconds above 0 is allowed, e.g. 2.0"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ProblemSettings:
    """What problem.yaml says.

    Args:
        name: for people; the folder's name if there is none.
        time_limit_s: seconds for one run, or None.
        memory_bytes: memory for one run, or None.
        validation: "default", "custom", or None if the package does not say.
        flags: `validator_flags`, split at white space.
    """

    name: str
    time_limit_s: float | None
    memory_bytes: int | None
    validation: str | None
    flags: tuple[str, ...]


def read_settings(folder: Folder, findings: Findings) -> ProblemSettings:
    """Read problem.yaml; whatever is wrong with it goes to `findings`, and is left at its default."""
    settings: Mapping[str, Any] = {}
    with findings.collect():
        settings = _load(folder)

    def read(reader: Callable[[Folder, Mapping[str, Any]], _T], default: _T) -> _T:
        with findings.collect():
            return reader(folder, settings)
        return default

    read(_check_type, None)
    return ProblemSettings(
        name=read(_name, folder.root.name),
        time_limit_s=read(_time_limit, None),
        memory_bytes=read(_memory, None),
        validation=read(_validation, None),
        flags=read(_flags, ()),
    )


def _load(folder: Folder) -> Mapping[str, Any]:
    if not folder.has(_FILE):
        raise folder.error(_FILE, "missing; every package has one, e.g. with the line 'name: Two Sums'")
    return folder.mapping(_FILE)


def _check_type(folder: Folder, settings: Mapping[str, Any]) -> None:
    """Refuse the types of the 2023-07 format (one, several words, or a list) that need more than one run a case."""
    found = settings.get("type", "pass-fail")
    types = found.split() if isinstance(found, str) else found
    if not isinstance(types, list) or any(kind != "pass-fail" for kind in types):
        raise folder.error(_FILE, f"type is {describe(found)}; only pass-fail is supported, leave this package out")


def _name(folder: Folder, settings: Mapping[str, Any]) -> str:
    found = settings.get("name", folder.root.name)
    if isinstance(found, dict) and found:
        found = found.get("en", next(iter(found.values())))
    if not isinstance(found, str) or not found.strip():
        raise folder.error(_FILE, f"name is {describe(found)}; a text is allowed, or one for each language")
    return found.strip()


def _limits(folder: Folder, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    found = settings.get("limits") or {}
    if not isinstance(found, dict):
        raise folder.error(_FILE, f"limits is {describe(found)}; a mapping is allowed, e.g. 'time_limit: 2'")
    return found


def _time_limit(folder: Folder, settings: Mapping[str, Any]) -> float | None:
    found = _limits(folder, settings).get("time_limit")
    if found is not None:
        return _positive(found, folder.error(_FILE, f"limits.time_limit is {describe(found)}; {_SECONDS}"))
    if not folder.has(_TIME_LIMIT_FILE):
        return None
    text = folder.text(_TIME_LIMIT_FILE).strip()
    return _positive(text, folder.error(_TIME_LIMIT_FILE, f"holds {describe(text)}; {_SECONDS}"))


def _memory(folder: Folder, settings: Mapping[str, Any]) -> int | None:
    found = _limits(folder, settings).get("memory")
    if found is None:
        return None
    refusal = f"limits.memory is {describe(found)}; a number of MiB above 0 is allowed, e.g. 512"
    return math.ceil(_positive(found, folder.error(_FILE, refusal)) * _MIB)


def _positive(found: object, refusal: PackageError) -> float:
    try:
        value = math.nan if isinstance(found, bool) else float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal from error
    if not 0 < value < math.inf:
        raise refusal
    return value


def _validation(folder: Folder, settings: Mapping[str, Any]) -> str | None:
    found = settings.get("validation")
    if found is None or found in ("default", "custom"):
        return found
    words = found.split() if isinstance(found, str) else []
    unsupported = [word for word in words if word in ("interactive", "score")]
    if unsupported:
        refusal = f"{unsupported[0]} problems are not supported, leave this package out"
    else:
        refusal = "allowed: default, custom; choose one"
    raise folder.error(_FILE, f"validation is {describe(found)}; {refusal}")


def _flags(folder: Folder, settings: Mapping[str, Any]) -> tuple[str, ...]:
    found = settings.get("validator_flags")
    if found is None:
        return ()
    if not isinstance(found, str):
        raise folder.error(_FILE, f"validator_flags is {describe(found)}; a text is allowed, put it in quotes")
    return tuple(found.split())
