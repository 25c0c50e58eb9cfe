"""Read problem packages in the ICPC/Kattis format (legacy, and 2023-07 where it is cheap).

Decides what a package as a whole must have. It must not run anything, nor judge whether a language is at
hand: it only reads files, and says everything that is wrong with a package at once.

The format: https://www.kattis.com/problem-package-format/spec/legacy. A package that does not say how it is
validated is validated by its own output validator if it has one, else by the default one.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from balancer.errors import PackageError
from balancer.pipeline.judging.compare import parse_flags
from balancer.pipeline.packages.data import read_data
from balancer.pipeline.packages.folder import Findings, Folder
from balancer.pipeline.packages.programs import read_input_validators, read_output_validator, read_submissions
from balancer.pipeline.packages.settings import ProblemSettings, read_settings
from balancer.problem import Checker, Problem
from balancer.program import Program

__all__ = ["find_packages", "fingerprint", "read_problem", "read_problems"]

_MARK = "problem.yaml"


def find_packages(root: Path | str) -> list[Path]:
    """List the packages in a folder, by name; or the folder itself, if it is one.

    Raises:
        PackageError: there are none.
    """
    root = Path(root)
    if (root / _MARK).exists():
        return [root]
    if not root.is_dir():
        raise PackageError(f"{root}: not a folder; name a problem package or a folder of them")
    packages = sorted((entry.parent for entry in root.glob(f"*/{_MARK}")), key=lambda path: path.name)
    if not packages:
        raise PackageError(f"{root}: no folder in it has a {_MARK}; name a problem package or a folder of them")
    return packages


def read_problems(root: Path | str) -> list[Problem]:
    """Read one package, or all packages in a folder, sorted by id. Other entries are ignored.

    Raises:
        PackageError: there are none, or some cannot be read; it has the lines of all of them.
    """
    findings = Findings()
    problems = []
    for path in find_packages(root):
        with findings.collect():
            problems.append(read_problem(path))
    findings.raise_any()
    return problems


def read_problem(path: Path | str) -> Problem:
    """Read one package.

    Raises:
        PackageError: it cannot be read; one line for each thing to mend.
    """
    folder = Folder(Path(path))
    findings = Findings()
    settings = read_settings(folder, findings)
    data = read_data(folder, findings)
    validators, odd_validators = read_input_validators(folder, data.flags.input, findings)
    flags = settings.flags + data.flags.output
    checker = Checker(read_output_validator(folder, settings.validation, findings), flags)
    submissions, odd_submissions = read_submissions(folder, findings)
    _check_whole(folder, settings, checker, findings)
    findings.raise_any()
    return Problem(
        id=folder.root.resolve().name,
        name=settings.name,
        path=folder.root,
        time_limit_s=settings.time_limit_s,
        memory_bytes=settings.memory_bytes,
        data=data.proposals,
        input_validators=validators,
        checker=checker,
        submissions=submissions,
        left_out={**odd_submissions, **odd_validators},
    )


def _check_whole(folder: Folder, settings: ProblemSettings, checker: Checker, findings: Findings) -> None:
    """Check what takes more than one part of the package to see."""
    if checker.program is None and settings.validation != "custom":
        try:
            parse_flags(checker.flags)
        except ValueError as error:
            findings.add(folder.error(_MARK, f"validator_flags: {error}"))
    if folder.entries("include"):
        wrong = "files to be compiled with submissions are not supported; leave this package out"
        findings.add(folder.error("include", wrong))


def fingerprint(problem: Problem) -> str:
    """Return a hash, 64 hex digits, of everything that matters to verdicts: data, programs, limits, flags.

    Names for people and the place of the package do not matter; names of submissions do, as results go by them.
    """
    parts = (
        problem.time_limit_s,
        problem.memory_bytes,
        tuple((_hash(known.data), None if known.answer is None else _hash(known.answer)) for known in problem.data),
        _essence(problem.input_validators),
        _essence([problem.checker.program] if problem.checker.program else []),
        problem.checker.flags,
        tuple((s.name, s.accepted, s.expected, *_essence([s.program])) for s in problem.submissions),
    )
    return _hash(repr(parts).encode("utf-8", "surrogatepass"))


def _essence(programs: Iterable[Program]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return tuple((program.language, program.source, program.args) for program in programs)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
