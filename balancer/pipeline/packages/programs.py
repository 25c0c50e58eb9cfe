"""Programs of a package: submissions, input validators, and the output validator.

Decides the language by the file's extension, and what cannot be used and why. It must not run anything, nor
know which languages an endpoint can run: that is found out later.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import Findings, Folder
from balancer.pipeline.packages.includes import inline_headers
from balancer.problem import Submission
from balancer.program import Program

__all__ = ["Programs", "read_input_validators", "read_output_validator", "read_submissions"]

_LANGUAGES = {
    **dict.fromkeys((".py", ".py3"), "python"),
    **dict.fromkeys((".cpp", ".cc", ".cxx", ".c++"), "cpp"),
}
_OTHER_LANGUAGES = {
    ".adb": "ada",
    ".c": "c",
    ".cs": "c#",
    ".ctd": "checktestdata",
    ".d": "d",
    ".go": "go",
    ".hs": "haskell",
    ".java": "java",
    ".js": "javascript",
    ".jl": "julia",
    ".kt": "kotlin",
    ".lisp": "lisp",
    ".m": "objective-c",
    ".ml": "ocaml",
    ".pas": "pascal",
    ".php": "php",
    ".pl": "prolog",
    ".py2": "python 2",
    ".rb": "ruby",
    ".rs": "rust",
    ".scala": "scala",
    ".sh": "bash",
    ".swift": "swift",
    ".ts": "typescript",
    ".viva": "viva",
}
_HEADERS = frozenset({".h", ".hh", ".hpp", ".hxx"})
_SOURCES = _LANGUAGES.keys() | _OTHER_LANGUAGES.keys()

_ACCEPTED = "accepted"
_EXPECTATIONS = (_ACCEPTED, "wrong_answer", "time_limit_exceeded", "run_time_error")
_INPUT_VALIDATORS = ("input_validators", "input_validator", "input_format_validators")
_OUTPUT_VALIDATORS = ("output_validators", "output_validator")


class _Unusable(Exception):
    """A program that cannot be used, and why: no fault of the package."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Programs that were found, by path, and those that were left out, path -> why."""

    found: dict[str, Program]
    left_out: dict[str, str]


def read_submissions(folder: Folder, findings: Findings) -> tuple[tuple[Submission, ...], dict[str, str]]:
    """Read submissions/: those that can be used, accepted ones first, then by name; and name -> why for the others."""
    submissions: list[Submission] = []
    left_out: dict[str, str] = {}
    for expected in _EXPECTATIONS:
        programs = _read_programs(folder, f"submissions/{expected}", findings)
        left_out.update((_short(path), why) for path, why in programs.left_out.items())
        submissions.extend(
            Submission(_short(path), program, expected == _ACCEPTED, expected)
            for path, program in programs.found.items()
        )
    left_out.update(_unknown_expectations(folder))
    if not any(submission.accepted for submission in submissions):
        findings.add(_no_accepted(folder, left_out))
    return tuple(submissions), left_out


def _short(path: str) -> str:
    return path.removeprefix("submissions/")


def _unknown_expectations(folder: Folder) -> Iterator[tuple[str, str]]:
    known = ", ".join(_EXPECTATIONS)
    for path in folder.entries("submissions"):
        if folder.is_folder(path) and _short(path) not in _EXPECTATIONS:
            for entry in folder.entries(path):
                yield _short(entry), f"folder {_short(path)} does not say right or wrong; known: {known}"


def _no_accepted(folder: Folder, left_out: dict[str, str]) -> PackageError:
    reasons = [f"{name}: {why}" for name, why in left_out.items() if name.startswith(_ACCEPTED)]
    found = f" ({'; '.join(reasons)})" if reasons else ""
    wanted = "a reference solution in python or cpp is needed, add one"
    return folder.error("submissions/accepted", f"no submission that can be used{found}; {wanted}")


def read_input_validators(
    folder: Folder, args: tuple[str, ...], findings: Findings
) -> tuple[tuple[Program, ...], dict[str, str]]:
    """Read the input validators, to be called with `args`; and path -> why for those that are left out."""
    validators: list[Program] = []
    left_out: dict[str, str] = {}
    for place in _INPUT_VALIDATORS:
        programs = _read_programs(folder, place, findings)
        validators.extend(replace(program, args=args) for program in programs.found.values())
        left_out.update(programs.left_out)
    return tuple(validators), left_out


def read_output_validator(folder: Folder, validation: str | None, findings: Findings) -> Program | None:
    """Read the package's own output validator, if `validation` asks for it, or says nothing and there is one."""
    places = [_read_programs(folder, place, findings) for place in _OUTPUT_VALIDATORS]
    found = [program for programs in places for program in programs.found.values()]
    left_out = [f"{path}: {why}" for programs in places for path, why in programs.left_out.items()]
    names = ", ".join([program.name for program in found] + left_out)
    place = _OUTPUT_VALIDATORS[0]
    if validation == "default" and names:
        wrong = f"found {names}, but validation is default; write 'validation: custom' or take it out"
    elif validation == "custom" and not found:
        wrong = f"validation is custom, but no program can be used{f' ({names})' if names else ''}; add one"
    elif len(found) + len(left_out) > 1 or left_out:
        wrong = f"found {names}; one program in python or cpp is allowed, keep one"
    else:
        return found[0] if found else None
    findings.add(folder.error(place, wrong))
    return None


def _read_programs(folder: Folder, place: str, findings: Findings) -> Programs:
    """Read every program in the folder `place`: a file, or a folder with one source."""
    programs = Programs({}, {})
    with findings.collect():
        for path in folder.entries(place):
            with findings.collect():
                try:
                    programs.found[path] = _read_program(folder, path)
                except _Unusable as why:
                    programs.left_out[path] = str(why)
    return programs


def _read_program(folder: Folder, path: str) -> Program:
    files = list(_files(folder, path))
    sources = [file for file in files if _extension(file) in _SOURCES]
    if len(sources) != 1 and folder.is_folder(path):
        raise _Unusable(f"the folder has {len(sources)} sources; one is allowed")
    source = sources[0] if sources else path
    language = _language(source)
    text = folder.text(source)
    if language == "cpp":
        headers = {file: folder.text(file) for file in files if _extension(file) in _HEADERS}
        text = inline_headers(text, {PurePosixPath(file).name: header for file, header in headers.items()})
    return Program(language, text, source)


def _files(folder: Folder, path: str) -> Iterator[str]:
    if not folder.is_folder(path):
        yield path
        return
    for entry in folder.entries(path):
        yield from _files(folder, entry)


def _extension(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _language(path: str) -> str:
    extension = _extension(path)
    if extension in _LANGUAGES:
        return _LANGUAGES[extension]
    if extension in _OTHER_LANGUAGES:
        raise _Unusable(f"language {_OTHER_LANGUAGES[extension]} is not supported")
    raise _Unusable(f"no known language has the extension {extension or '(none)'!r}")
