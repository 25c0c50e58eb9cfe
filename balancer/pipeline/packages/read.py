"""Package reader for the formats legacy, legacy-icpc, 2023-07 and 2025-09.

Decides what a package must have. A file that cannot be used is left out and named. The reader runs nothing, and does
not check which languages are available.

The format: https://www.kattis.com/problem-package-format/. If a package does not say how it is validated, its own
output validator is used, else the default one.

Package discovery: finds the packages of a run, and the reasons for those left out. One bad package never stops the
others.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from balancer.errors import PackageError
from balancer.judging.compare import parse_flags
from balancer.pipeline.packages.data import CaseFlags, PackageData, read_data, usual_flags
from balancer.pipeline.packages.folder import Folder, is_archive, shown_name, unpacked
from balancer.pipeline.packages.recipes import read_recipes
from balancer.pipeline.packages.settings import ProblemSettings, read_settings
from balancer.pipeline.packages.submissions import read_submissions
from balancer.pipeline.packages.validators import InputValidators, read_input_validators, read_output_validator
from balancer.problem import FEWEST_AGREEING, CaseOptions, Checker, Problem

__all__ = ["LeftOutPackage", "Packages", "find_packages", "read_package", "read_packages", "read_problem"]

_MARK = "problem.yaml"
_STATEMENTS = ("statement", "problem_statement", ".")
_STATEMENT = re.compile(r"problem(?:\.(?P<language>[A-Za-z-]+))?\.(?P<kind>md|tex)")
_CONSTANT = re.compile(r"\\constant\{([\w.]+)\}")  # a constant in TeX
_MOST_SAID = 3  # error lines of one package


def read_problem(path: Path | str, *, whole: bool = True) -> Problem:
    """Read one package: a folder, or an archive of one.

    Args:
        path: of the package.
        whole: False: its data is checked, but not kept: inputs, answers and the files beside them are empty.

    Raises:
        PackageError: it cannot be read; one line for each error.
    """
    path = Path(path)
    if not is_archive(path):
        return _read(Folder(path, whole=whole), path.resolve().name)
    with unpacked(path) as (root, left_out):
        folder = Folder(root, shown=path, whole=whole)
        folder.findings.left_out.update(left_out)
        return replace(_read(folder, path.stem), path=path)


def _read(folder: Folder, name: str) -> Problem:
    findings = folder.findings
    settings = read_settings(folder)
    folder.constants = settings.constants
    data = read_data(folder)
    validators = read_input_validators(folder)
    usual = usual_flags(folder, data)
    checker = Checker(read_output_validator(folder, settings), settings.flags + usual.output)
    submissions = read_submissions(folder)
    if not data.known:
        wrong = "no inputs; at least one '.in' file is needed in data/sample or data/secret, add one"
        findings.add(folder.error("data", wrong))
    statement = _statement(folder)
    options = _options(data, usual, settings, validators)
    _check_flags(folder, checker, options.values())
    findings.left_out.update(dict.fromkeys(sorted(folder.odd_names), "its name is not text"))
    findings.raise_any()
    accepted = sum(submission.accepted for submission in submissions)
    return Problem(
        id=name,
        name=settings.name,
        path=folder.shown,
        time_limit_s=settings.time_limit_s,
        memory_bytes=settings.memory_bytes,
        data=tuple(known.proposal for known in data.known),
        input_validators=validators.told(usual),
        checker=checker,
        submissions=submissions,
        left_out=findings.left_out,
        statement=statement,
        grammars=validators.grammars,
        by_agreement=not validators.programs and accepted >= FEWEST_AGREEING,
        options=options,
        recipes=read_recipes(folder),
        notes=tuple(findings.notes),
        packaged=True,
    )


def _statement(folder: Folder) -> str:
    """Return the statement: the English one, else the one without a language, else the first; "" if none is text."""
    for place in _STATEMENTS:
        found: list[tuple[int, str]] = []
        with folder.findings.leaving_out(place):
            for path in folder.entries(place):
                if named := _STATEMENT.fullmatch(PurePosixPath(path).name):
                    found.append((_rank(named["language"]), path))
        for _, path in sorted(found, key=lambda each: each[0]):
            with folder.findings.leaving_out(path):
                text = folder.filled(folder.text(path))
                return _CONSTANT.sub(lambda name: folder.constants.get(name[1], name[0]), text)
    return ""


def _rank(language: str | None) -> int:
    if language is None:
        return 1
    return 0 if language.lower().split("-")[0] == "en" else 2


def _options(
    data: PackageData,
    usual: CaseFlags,
    settings: ProblemSettings,
    validators: InputValidators,
) -> dict[str, CaseOptions]:
    """Return the options of single inputs that differ from those of made-up ones."""
    return {
        known.proposal.origin.detail: CaseOptions(
            validators={program.name: program.args for program in validators.told(known.told)},
            checker=settings.flags + known.told.output,
            args=known.told.args,
            files=known.files,
        )
        for known in data.known
        if known.told != usual or known.told.args or known.files
    }


def _check_flags(folder: Folder, checker: Checker, options: Iterable[CaseOptions]) -> None:
    """Check flags for the default output validator. Flags of other validators are not checked."""
    if checker.program is None:
        for flags in {checker.flags, *(each.checker for each in options)}:
            try:
                parse_flags(flags)
            except ValueError as error:
                folder.findings.add(folder.error(_MARK, f"flags of the output validator: {error}"))


@dataclass(frozen=True, slots=True)
class LeftOutPackage:
    """A package that cannot be judged, and why, in one line."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages found.

    Attributes:
        problems: (place among all packages from 0, problem), sorted.
        left_out: packages that cannot be judged, by name.
    """

    problems: tuple[tuple[int, Problem], ...] = ()
    left_out: tuple[LeftOutPackage, ...] = ()

    @property
    def read(self) -> tuple[Problem, ...]:
        """The problems without their places."""
        return tuple(problem for _, problem in self.problems)


def find_packages(root: Path | str) -> list[Path]:
    """Return the packages in a folder, by name: folders and archives; or `root` itself, if it is one.

    Raises:
        PackageError: there are none.
    """
    root = Path(root)
    if _is_package(root):
        return [root]
    if not root.is_dir():
        raise PackageError(f"{root}: not a folder; name a problem package or a folder of them")
    try:
        packages = sorted((entry for entry in root.iterdir() if _is_package(entry)), key=lambda path: path.name)
    except OSError as error:
        raise PackageError(f"{root}: cannot be read ({error.strerror}); make it readable") from error
    if not packages:
        raise PackageError(f"{root}: no folder in it has a {_MARK}; name a problem package or a folder of them")
    return packages


def _is_package(path: Path) -> bool:
    mark = path / _MARK
    return is_archive(path) or (path.is_dir() and (mark.exists() or mark.is_symlink()))


def read_packages(
    root: Path | str, *, whole: bool = True, change: Callable[[Problem], Problem] = lambda problem: problem
) -> Packages:
    """Read one package, or all packages in a folder, sorted by name. Other entries are ignored.

    Args:
        root: the package or the folder.
        whole: False: data is checked, but not kept; see `read_problem`.
        change: applied to each problem that is read.

    Raises:
        PackageError: there are none, or none can be read; it has the lines of all.
    """
    root = Path(root)
    problems: list[tuple[int, Problem]] = []
    left_out: list[LeftOutPackage] = []
    lines: list[str] = []
    taken: dict[str, Path] = {}
    for place, path in enumerate(find_packages(root)):
        shown = shown_name(str(path))
        name = path.stem if is_archive(path) else path.resolve().name
        try:
            if name in taken:
                raise PackageError(
                    f"{shown}: has the name of {shown_name(taken[name].name)}, which is used; rename one"
                )
            if not name.isprintable():
                raise PackageError(f"{shown}: its name is not text; rename it")
            problems.append((place, change(read_package(path, whole=whole))))
            taken[name] = path
        except PackageError as error:
            lines += error.problems
            called = shown_name(path.name if name in taken else name)
            left_out.append(LeftOutPackage(called, "; ".join(_shortened(error, shown))))
    if not problems:
        raise PackageError(lines)
    return Packages(tuple(problems), tuple(left_out))


def read_package(path: Path, *, whole: bool = True) -> Problem:
    """Read one package. Raises PackageError for any error; see `read_problem`."""
    try:
        return read_problem(path, whole=whole)
    except (OSError, RecursionError) as error:
        raise PackageError(shown_name(f"{path}: cannot be read ({type(error).__name__}: {error}); fix it")) from error


def _shortened(error: PackageError, shown: str) -> Iterator[str]:
    said = [line.removeprefix(f"{shown}/").removeprefix(f"{shown}: ") for line in error.problems]
    yield from said[:_MOST_SAID]
    if len(said) > _MOST_SAID:
        yield f"and {len(said) - _MOST_SAID} more"
