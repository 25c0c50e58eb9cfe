"""Submissions of a package: the usable ones, and their expected results.

Decides what is left out and why. A package needs a submission that is right.

Expected results are right, wrong, or neither. They follow from the submission's folder and from submissions.yaml (a
table of patterns, format of 2023-07 and later). A submission with any other expectation is left out. Pure, and bounded,
because the file is not trusted.

In a pattern, `*`, `?` and `[abc]` match within a name, and `{a,b}` matches either. A pattern matches a submission if it
matches its whole path, or the path of a folder around it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import Folder
from balancer.pipeline.packages.programs import read_program
from balancer.problem import Submission

__all__ = ["OFFICIAL", "Expectation", "expected_of", "matches", "read_submissions"]

_PLACE = "submissions"
_RULES = ("submissions.yaml", "expectations.yaml")
_SPOKEN = {"python3": "python", "python3numpy": "python", "cppgmp": "cpp", "cgmp": "c", "javaalgs4": "java"}
_OK = "AC"
_ALL = frozenset({"AC", "WA", "TLE", "RTE"})
OFFICIAL = ("accepted", "wrong_answer", "time_limit_exceeded", "run_time_error")

_RIGHT = "accepted"
_WRONG = (
    *OFFICIAL[1:],
    *("rejected", "brute_force", "memory_limit_exceeded", "output_limit_exceeded", "no_output"),  # of archives
)


def read_submissions(folder: Folder) -> tuple[Submission, ...]:
    """Read the usable submissions: accepted ones first, then by folder and name."""
    rules = {key: said for name in _RULES for key, said in folder.optional_mapping(f"{_PLACE}/{name}").items()}
    included = _included(folder)
    found: list[Submission] = []
    for path in _paths(folder):
        name = path.removeprefix(f"{_PLACE}/")
        with folder.findings.leaving_out(path, name):
            language, entry = _told(name, rules)
            program = read_program(folder, path, language=language, entry=entry, included=included)
            expected = expected_of(name, rules)
            if expected.accepted is None:
                folder.findings.left_out[name] = expected.why
            else:
                found.append(Submission(name, program, expected.accepted, expected.label))
    if not any(submission.accepted for submission in found):
        folder.findings.add(_no_accepted(folder, folder.findings.left_out))
    return tuple(sorted(found, key=lambda submission: (not submission.accepted, _rank(submission.expected))))


def _paths(folder: Folder) -> list[str]:
    """Return the paths of all submissions: files and folders in submissions/ or in one of its folders."""
    paths: list[str] = []
    with folder.findings.leaving_out(_PLACE):
        for entry in folder.entries(_PLACE):
            if not folder.is_folder(entry):
                if PurePosixPath(entry).name not in _RULES:
                    paths.append(entry)
                continue
            with folder.findings.leaving_out(entry, entry.removeprefix(f"{_PLACE}/")):
                paths += folder.entries(entry)
    return paths


def _told(name: str, rules: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the language and the entry point of a submission, if submissions.yaml names them."""
    rule = rules.get(name)
    language, start = (rule.get("language"), rule.get("entrypoint")) if isinstance(rule, dict) else (None, None)
    spoken = _SPOKEN.get(language, language) if isinstance(language, str) else None
    return spoken, start if isinstance(start, str) else None


def _included(folder: Folder) -> Callable[[str], Mapping[str, bytes]]:
    """Return a function from a language to the files added to its submissions: include/default, include/LANGUAGE."""
    by_folder: dict[str, dict[str, bytes]] = {}
    with folder.findings.leaving_out("include"):
        for place in folder.entries("include"):
            with folder.findings.leaving_out(place):
                files = {file.removeprefix(f"{place}/"): folder.data(file) for file in folder.files(place)}
                by_folder[PurePosixPath(place).name] = files

    def of(language: str) -> Mapping[str, bytes]:
        named = [name for name in by_folder if _SPOKEN.get(name, name) == language]
        return {name: data for place in ("default", *named) for name, data in by_folder.get(place, {}).items()}

    return of


def _rank(expected: str) -> int:
    return OFFICIAL.index(expected) if expected in OFFICIAL else len(OFFICIAL)


def _no_accepted(folder: Folder, left_out: Mapping[str, str]) -> PackageError:
    reasons = [f"{name}: {why}" for name, why in left_out.items() if name.startswith("accepted")]
    found = f" ({'; '.join(reasons)})" if reasons else ""
    return folder.error("submissions/accepted", f"no usable submission{found}; add one that is right")


_ALIASES = {
    alias: name
    for name, aliases in {
        "accepted": "ac correct",
        "wrong_answer": "wa wrong",
        "time_limit_exceeded": "tle timelimit time_limit too_slow",
        "run_time_error": "rte run_error runtime_error",
        "memory_limit_exceeded": "mle memory_limit",
        "output_limit_exceeded": "ole output_limit",
    }.items()
    for alias in aliases.split()
}
_MOST_FORMS = 1000  # of one pattern, after its braces are expanded
_MOST_BRACES = 40


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected result of a submission.

    Attributes:
        accepted: True: right; False: wrong; None: not known.
        label: the kind, e.g. "wrong_answer"; see `Submission.expected`.
        why: the reason, for people.
    """

    accepted: bool | None
    label: str
    why: str


def expected_of(name: str, rules: Mapping[str, Any]) -> Expectation:
    """Return the expected result of the submission `name`, e.g. "mixed/a.cpp".

    Args:
        name: relative to submissions/.
        rules: submissions.yaml: pattern -> rule; {} if there is none.
    """
    folder = name.split("/")[0] if "/" in name else ""
    meant = _meaning(folder)
    said = [rule for pattern, rule in rules.items() if isinstance(rule, Mapping) and matches(str(pattern), name)]
    if any(_speaks(rule) for rule in said):
        return _by_rules(meant, said, rules.get(folder))
    if meant == _RIGHT or meant in _WRONG:
        return Expectation(meant == _RIGHT, meant, f"folder {meant}")
    return Expectation(None, meant, f"folder {folder or 'submissions'} does not say right or wrong")


def _meaning(folder: str) -> str:
    plain = folder.lower().replace("-", "_")
    return _ALIASES.get(plain, plain)


def _speaks(rule: Mapping[str, Any]) -> bool:
    return any(key in rule for key in ("permitted", "required")) or any(
        isinstance(value, Mapping) and _speaks(value) for value in rule.values()
    )


def _by_rules(meant: str, said: list[Mapping[str, Any]], own: object) -> Expectation:
    """Combine the rules of submissions.yaml. `own`, the folder's rule, replaces the usual meaning of the folder."""
    demands = [demand for rule in said for demand in _demands(rule)]
    replaced = own if isinstance(own, Mapping) else {}
    if meant in _WRONG and "required" not in replaced:
        demands.append((frozenset(), _ALL, True))
    if meant == _RIGHT and "permitted" not in replaced:
        demands.append((_ALL, frozenset({_OK}), True))
    wrong = any(_OK not in required or _OK not in permitted for required, permitted, _ in demands)
    right = any(permitted == {_OK} and everywhere for _, permitted, everywhere in demands)
    label = meant if meant == _RIGHT or meant in _WRONG else "rejected" if wrong else "accepted" if right else meant
    if right and wrong:
        return Expectation(None, label, "submissions.yaml says both right and wrong")
    if right or wrong:
        return Expectation(right, label, "submissions.yaml")
    return Expectation(None, label, "submissions.yaml says neither right nor wrong")


def _demands(rule: Mapping[str, Any], *, everywhere: bool = True) -> list[tuple[frozenset[str], frozenset[str], bool]]:
    """Return for each part: verdicts that a case must give, those that cases may give, and whether for all cases."""
    found = [(_verdicts(rule.get("required")), _verdicts(rule.get("permitted")), everywhere)]
    parts = (value for key, value in rule.items() if key not in ("required", "permitted"))
    return found + [each for part in parts if isinstance(part, Mapping) for each in _demands(part, everywhere=False)]


def _verdicts(found: object) -> frozenset[str]:
    listed = found if isinstance(found, list) else [found]
    return frozenset(word for word in listed if isinstance(word, str) and word in _ALL) or _ALL


# -- patterns of submissions.yaml ----------------------------------------------------------------------


def matches(pattern: str, path: str) -> bool:
    """Return whether `pattern` matches the submission at `path`, relative to submissions/."""
    parts = path.split("/")
    return any(_match(form.strip("/").split("/"), parts) for form in _forms(pattern))


@cache
def _forms(pattern: str) -> tuple[str, ...]:
    return tuple(islice(_spelt_out(pattern), _MOST_FORMS)) if pattern.count("{") <= _MOST_BRACES else (pattern,)


def _spelt_out(pattern: str) -> Iterator[str]:
    """Yield the pattern with each choice of its braces, nested ones from the inside out."""
    inner = re.search(r"\{([^{}]*)\}", pattern)
    if inner is None:
        yield pattern
        return
    for choice in inner[1].split(","):
        yield from _spelt_out(pattern[: inner.start()] + choice + pattern[inner.end() :])


def _match(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) <= len(parts) and all(map(fnmatchcase, parts, pattern))
