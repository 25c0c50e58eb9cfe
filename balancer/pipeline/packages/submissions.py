"""Submissions of a package: which can be used, and what each is said to be.

Decides what is left out and why, and that a package needs one that is right. It must not run anything.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.packages.expectations import OFFICIAL, expected_of
from balancer.pipeline.packages.folder import Folder
from balancer.pipeline.packages.programs import read_program
from balancer.problem import Submission
from balancer.program import Program

__all__ = ["read_submissions"]

_PLACE = "submissions"
_RULES = ("submissions.yaml", "expectations.yaml")
_ENTRIES = "submissions.json"  # DOMjudge's, beside problem.yaml
_SPOKEN = {"python3": "python", "python3numpy": "python", "cppgmp": "cpp", "cgmp": "c", "javaalgs4": "java"}


def read_submissions(folder: Folder) -> tuple[Submission, ...]:
    """Read submissions/: those that can be used, accepted ones first, then by folder and name."""
    rules = {key: said for name in _RULES for key, said in folder.optional_mapping(f"{_PLACE}/{name}").items()}
    entries = _entries(folder)
    included = _included(folder)
    found: list[Submission] = []
    for path in _paths(folder):
        name = path.removeprefix(f"{_PLACE}/")
        with folder.findings.leaving_out(path, name):
            language, entry = _told(name, rules, entries)
            program = read_program(folder, path, language=language, entry=entry, included=included)
            expected = expected_of(name, rules, _texts(program))
            if expected.accepted is None:
                folder.findings.left_out[name] = expected.why
            else:
                found.append(Submission(name, program, expected.accepted, expected.label))
    if not any(submission.accepted for submission in found):
        folder.findings.add(_no_accepted(folder, folder.findings.left_out))
    return tuple(sorted(found, key=lambda submission: (not submission.accepted, _rank(submission.expected))))


def _paths(folder: Folder) -> list[str]:
    """List the files and folders that are a submission each: those in a folder of submissions/, or in itself."""
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


def _entries(folder: Folder) -> Mapping[str, Any]:
    """Return what DOMjudge's submissions.json says, by the submission's name."""
    if not folder.has(_ENTRIES):
        return {}
    with folder.findings.leaving_out(_ENTRIES):
        try:
            found = json.loads(folder.text(_ENTRIES))
        except (ValueError, RecursionError) as error:
            raise folder.error(_ENTRIES, "is not JSON; mend the syntax") from error
        if isinstance(found, dict):
            return {str(path).strip("/").removeprefix(f"{_PLACE}/"): told for path, told in found.items()}
    return {}


def _told(name: str, rules: Mapping[str, Any], entries: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the language and the entry point of a submission, where the package says them."""
    rule, entry = rules.get(name), entries.get(name)
    rule, entry = rule if isinstance(rule, dict) else {}, entry if isinstance(entry, dict) else {}
    language, start = rule.get("language"), rule.get("entrypoint", entry.get("entry_point"))
    spoken = _SPOKEN.get(language, language) if isinstance(language, str) else None
    return spoken, start if isinstance(start, str) else None


def _included(folder: Folder) -> Callable[[str], Mapping[str, bytes]]:
    """Return what gives the files that go with every submission of a language: include/default, include/LANGUAGE."""
    by_folder: dict[str, dict[str, bytes]] = {}
    with folder.findings.leaving_out("include"):
        for place in folder.entries("include"):
            with folder.findings.leaving_out(place):
                files = {file: folder.data(file) for file in folder.files(place)}
                by_folder[PurePosixPath(place).name] = {
                    file.removeprefix(f"{place}/"): content for file, content in files.items()
                }

    def of(language: str) -> Mapping[str, bytes]:
        named = [name for name in by_folder if _SPOKEN.get(name, name) == language]
        return {name: data for place in ("default", *named) for name, data in by_folder.get(place, {}).items()}

    return of


def _texts(program: Program) -> list[str]:
    return [program.source, *(content.decode(errors="replace") for _, content in program.extras)]


def _rank(expected: str) -> int:
    return OFFICIAL.index(expected) if expected in OFFICIAL else len(OFFICIAL)


def _no_accepted(folder: Folder, left_out: Mapping[str, str]) -> PackageError:
    reasons = [f"{name}: {why}" for name, why in left_out.items() if name.startswith("accepted")]
    found = f" ({'; '.join(reasons)})" if reasons else ""
    return folder.error("submissions/accepted", f"no submission that can be used{found}; add one that is right")
