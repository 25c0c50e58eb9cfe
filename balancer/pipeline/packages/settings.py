"""Package settings: name, kind, limits, constants and comparison, from problem.yaml and the files beside it.

All versions of the format are read, with their spellings.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import Folder, describe

__all__ = ["ProblemSettings", "read_settings"]

_FILE = "problem.yaml"
_TIME_LIMIT_FILE = ".timelimit"
_DOMJUDGE_FILE = "domjudge-problem.ini"
_MIB = 2**20
_SECONDS = "a number of seconds above 0 is allowed, e.g. 2.0"
_VERSIONS = ("legacy", "legacy-icpc", "2023-07-draft", "2023-07", "2025-09-draft", "2025-09", "draft")

# Kinds that need more than one run a case, another kind of verdict, or no program, as in `type` or `validation`.
_KINDS = {
    "interactive": "an interactive problem",
    "multi-pass": "a multi-pass problem",
    "multipass": "a multi-pass problem",
    "scoring": "a scoring problem",
    "score": "a scoring problem",
    "submit-answer": "a problem whose answers are submitted instead of programs",
}
_INI_LINE = re.compile(r"""^[ \t]*(\w+)[ \t]*=[ \t]*(?:'([^']*)'|"([^"]*)"|(.*?))[ \t]*$""", re.MULTILINE)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ProblemSettings:
    """Content of problem.yaml.

    Args:
        name: for people; else the folder's name.
        time_limit_s: seconds for one run, or None.
        memory_bytes: memory for one run, or None.
        validation: "default", "custom", or None if it is not set.
        flags: `validator_flags`, split at white space.
        constants: "name" and "name.variant" -> the value of `{{name}}` in programs and flags.
    """

    name: str
    time_limit_s: float | None
    memory_bytes: int | None
    validation: str | None
    flags: tuple[str, ...]
    constants: Mapping[str, str] = field(default_factory=dict)


def read_settings(folder: Folder) -> ProblemSettings:
    """Read problem.yaml. An error in it becomes a finding, and the value gets its default.

    Raises:
        PackageError: this kind of problem cannot be judged here; other errors are not reported then.
    """
    settings: Mapping[str, Any] = {}
    with folder.findings.collect():
        settings = _load(folder)
    _check_kind(folder, settings)

    def read(reader: Callable[[Folder, Mapping[str, Any]], _T], default: _T) -> _T:
        with folder.findings.collect():
            return reader(folder, settings)
        return default

    version = str(settings.get("problem_format_version") or "legacy")
    if version not in _VERSIONS:
        newest = "2025-09"
        folder.findings.notes.append(f"its problem_format_version is {describe(version)}; it is read as {newest}")
    return ProblemSettings(
        name=read(_name, folder.shown.name),
        time_limit_s=read(_time_limit, None),
        memory_bytes=read(_memory, None),
        validation=read(_validation, None),
        flags=read(_flags, ()),
        constants=read(_constants, {}),
    )


def _load(folder: Folder) -> Mapping[str, Any]:
    if not folder.has(_FILE) and not (folder.root / _FILE).is_symlink():
        raise folder.error(_FILE, "missing; every package has one, e.g. with the line 'name: Two Sums'")
    return folder.mapping(_FILE)


def _check_kind(folder: Folder, settings: Mapping[str, Any]) -> None:
    """Raise PackageError unless it is a pass-fail problem with one run for each case.

    The kind is a word, words or a list.
    """
    for key in ("type", "validation"):
        found = settings.get(key)
        words = _words(found)
        kinds = [_KINDS[word] for word in words if isinstance(word, str) and word in _KINDS]
        if kinds:
            said = f"{' and '.join(dict.fromkeys(kinds))} ({key}: {describe(found)})"
            raise folder.error(_FILE, f"is {said}; only pass-fail problems with one run a case can be judged")
    if any(word != "pass-fail" for word in _words(settings.get("type", "pass-fail"))):
        raise folder.error(_FILE, f"type is {describe(settings['type'])}; pass-fail is allowed, write that")


def _words(found: object) -> list[object]:
    if isinstance(found, str):
        return list(found.split())
    return found if isinstance(found, list) else [found]


def _name(folder: Folder, settings: Mapping[str, Any]) -> str:
    found = settings.get("name", folder.shown.name)
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
    if folder.has(_TIME_LIMIT_FILE):
        text = folder.text(_TIME_LIMIT_FILE).strip()
        return _positive(text, folder.error(_TIME_LIMIT_FILE, f"holds {describe(text)}; {_SECONDS}"))
    if folder.has(_DOMJUDGE_FILE) and (text := _domjudge(folder).get("timelimit", "")):
        return _positive(text, folder.error(_DOMJUDGE_FILE, f"timelimit is {describe(text)}; {_SECONDS}"))
    return None


def _domjudge(folder: Folder) -> dict[str, str]:
    lines = _INI_LINE.finditer(folder.text(_DOMJUDGE_FILE))
    return {line[1].lower(): line[2] or line[3] or line[4] or "" for line in lines}


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
    raise folder.error(_FILE, f"validation is {describe(found)}; allowed: default, custom; choose one")


def _flags(folder: Folder, settings: Mapping[str, Any]) -> tuple[str, ...]:
    found = settings.get("validator_flags")
    if found is None:
        return ()
    if not isinstance(found, str):
        raise folder.error(_FILE, f"validator_flags is {describe(found)}; a text is allowed, put it in quotes")
    return tuple(found.split())


def _constants(folder: Folder, settings: Mapping[str, Any]) -> Mapping[str, str]:
    found = settings.get("constants") or {}
    if not isinstance(found, dict):
        raise folder.error(_FILE, f"constants is {describe(found)}; a mapping of names to values is allowed")
    constants: dict[str, str] = {}
    for name, value in found.items():
        variants = value if isinstance(value, dict) else {"value": value}
        for variant, text in variants.items():
            if not isinstance(text, str | int | float):
                wrong = f"constants.{name} is {describe(value)}; a text or a number is allowed, or one for each variant"
                raise folder.error(_FILE, wrong)
            constants[f"{name}.{variant}"] = str(text)
            if variant == "value":
                constants[str(name)] = str(text)
    return constants
