"""Generator programs of a package: which one each recipe means, and what can be tried without recipes.

It must not run anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from balancer.pipeline.packages.flags import CaseFlags
from balancer.pipeline.packages.folder import Folder, UnusableProgram
from balancer.pipeline.packages.programs import program_of, read_program
from balancer.pipeline.packages.recipes import TestcaseRule
from balancer.problem import Recipe
from balancer.program import Program

__all__ = ["with_programs"]

_PLACE = "generators"
_FILE = "generators/generators.yaml"


def with_programs(folder: Folder, rules: Sequence[TestcaseRule]) -> list[TestcaseRule]:
    """Return the recipes with their programs; those whose program cannot be used are left out, with it.

    A package that has generators and no recipes has no arguments either: each program is tried with a seed alone.
    """
    if not rules and not folder.has(_FILE):
        return _without_recipes(folder)
    parts = _parts(folder)
    programs = {name: _program(folder, name, parts) for name in {rule.generator for rule in rules}}
    return [
        replace(rule, recipe=replace(rule.recipe, program=programs[rule.generator]))
        for rule in rules
        if not rule.generator or programs[rule.generator] is not None
    ]


def _without_recipes(folder: Folder) -> list[TestcaseRule]:
    found: list[TestcaseRule] = []
    with folder.findings.leaving_out(_PLACE):
        for path in folder.entries(_PLACE):
            with folder.findings.leaving_out(path):
                try:
                    program = read_program(folder, path, scripts=True)
                except UnusableProgram:  # there may be anything: notes, scripts that call the programs
                    continue
                found.append(TestcaseRule(Recipe(path, program, ("{seed}",)), path, CaseFlags()))
    return found


def _parts(folder: Folder) -> Mapping[Any, Any]:
    """Return which files make a generator, by its name, where generators.yaml says so."""
    found = folder.optional_mapping(_FILE).get("generators")
    return found if isinstance(found, dict) else {}


def _program(folder: Folder, name: str, parts: Mapping[Any, Any]) -> Program | None:
    if not name:
        return None
    path = f"{_PLACE}/{name.strip('/')}"
    with folder.findings.leaving_out(path):
        if isinstance(parts.get(name), list):
            files = {str(part): folder.data(f"{_PLACE}/{part}") for part in parts[name]}
            return program_of(folder, path, files, entry=next(iter(files), None))
        if not folder.has(path):
            raise folder.error(path, "missing, and generators.yaml calls it; put it there")
        return read_program(folder, path, scripts=True)
    return None
