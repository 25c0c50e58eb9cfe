"""Package reader: legacy, legacy-icpc, 2023-07 and 2025-09, as they are found.

Decides what a package as a whole must have, and what it can do without: a file that cannot be used is left out by name.
It must not run anything, nor judge whether a language is at hand: it only reads files.

The format: https://www.kattis.com/problem-package-format/. A package that does not say how it is validated is validated
by its own output validator if it has one, else by the default one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from balancer.judging.compare import parse_flags
from balancer.pipeline.packages.archive import is_archive, unpacked
from balancer.pipeline.packages.data import KnownInput, read_data, shared
from balancer.pipeline.packages.flags import CaseFlags
from balancer.pipeline.packages.folder import Findings, Folder
from balancer.pipeline.packages.generator_programs import with_programs
from balancer.pipeline.packages.recipes import TestcaseRule, read_recipes
from balancer.pipeline.packages.settings import ProblemSettings, read_settings
from balancer.pipeline.packages.statement import read_statement
from balancer.pipeline.packages.submissions import read_submissions
from balancer.pipeline.packages.validators import InputValidators, read_input_validators, read_output_validator
from balancer.problem import FEWEST_AGREEING, CaseOptions, Checker, Problem
from balancer.program import Program

__all__ = ["read_problem"]

_MARK = "problem.yaml"


def read_problem(path: Path | str, *, whole: bool = True) -> Problem:
    """Read one package: a folder, or an archive of one.

    Args:
        whole: False: its data is looked at and not kept, so that it takes no memory: known inputs, answers and the
            files beside them are empty.

    Raises:
        PackageError: it cannot be read; one line for each thing to mend.
    """
    path = Path(path)
    if not is_archive(path):
        return _read(Folder(path, whole=whole), path.resolve().name, {})
    with unpacked(path) as (root, left_out):
        return replace(_read(Folder(root, shown=path, whole=whole), path.stem, left_out), path=path)


def _read(folder: Folder, name: str, left_out: Mapping[str, str]) -> Problem:
    findings = Findings()
    findings.left_out.update(left_out)
    settings = read_settings(folder, findings)
    constants = settings.constants
    data = read_data(folder, constants, findings)
    validators = read_input_validators(folder, constants, findings)
    dishes = with_programs(folder, read_recipes(folder, constants, data.groups, findings), constants, findings)
    told = shared(data, findings)
    checker = Checker(read_output_validator(folder, settings, findings), settings.flags + told.output)
    submissions = read_submissions(folder, constants, findings)
    if not data.known and not any(dish.recipe.missing for dish in dishes):
        wrong = "no inputs; at least one '.in' file is needed in data/sample or data/secret, add one"
        findings.add(folder.error("data", wrong))
    statement = read_statement(folder, constants, findings)
    options = _options(data.known, dishes, told, settings, validators)
    _check_flags(folder, checker, options.values(), findings)
    findings.left_out.update(dict.fromkeys(sorted(folder.odd_names), "its name is no text"))
    findings.raise_any()
    accepted = sum(submission.accepted for submission in submissions)
    return Problem(
        id=name,
        name=settings.name,
        path=folder.shown,
        time_limit_s=settings.time_limit_s,
        memory_bytes=settings.memory_bytes,
        data=tuple(known.proposal for known in data.known),
        input_validators=_told(validators, told),
        checker=checker,
        submissions=submissions,
        left_out=findings.left_out,
        statement=statement,
        grammars=validators.grammars,
        by_agreement=not validators.programs and accepted >= FEWEST_AGREEING,
        options=options,
        recipes=tuple(dish.recipe for dish in dishes),
        notes=tuple(findings.notes),
        packaged=True,
    )


def _told(validators: InputValidators, told: CaseFlags) -> tuple[Program, ...]:
    """Return the input validators with the arguments that made-up inputs are checked with."""
    return tuple(
        replace(program, args=told.validator(PurePosixPath(path).name)) for path, program in validators.programs.items()
    )


def _options(
    known: Iterable[KnownInput],
    dishes: Iterable[TestcaseRule],
    told: CaseFlags,
    settings: ProblemSettings,
    validators: InputValidators,
) -> dict[str, CaseOptions]:
    """Return what is told for single inputs, where that is not what is told for made-up ones."""
    each = [(one.proposal.origin.detail, one.told, one.files) for one in known]
    each += [(dish.recipe.name, dish.told, ()) for dish in dishes if dish.recipe.missing]
    return {
        name: CaseOptions(
            validators={
                program.name: own.validator(PurePosixPath(path).name) for path, program in validators.programs.items()
            },
            checker=settings.flags + own.output,
            args=own.args,
            files=files,
        )
        for name, own, files in each
        if own != told or own.args or files
    }


def _check_flags(folder: Folder, checker: Checker, options: Iterable[CaseOptions], findings: Findings) -> None:
    """Check the flags that the default output validator is to be told; those of another are its own business."""
    if checker.program is None:
        for flags in {checker.flags, *(each.checker for each in options)}:
            try:
                parse_flags(flags)
            except ValueError as error:
                findings.add(folder.error(_MARK, f"flags of the output validator: {error}"))
