"""Recipes of generators/generators.yaml: the program, arguments and seed of each input.

Decides the inputs' names and seeds as the package's own tools do, so that a recipe gives its authors' input. The rules
of the file are from BAPCtools' documentation.

Also finds the generator program of each recipe, and makes recipes for packages without any.
"""

import hashlib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.packages.data import CaseFlags, flags_in_mapping
from balancer.pipeline.packages.folder import Folder, UnusableProgram, describe
from balancer.pipeline.packages.programs import program_of, read_program
from balancer.problem import Recipe
from balancer.program import Program

__all__ = ["TestcaseRule", "read_recipes", "with_programs"]

_FILE = "generators/generators.yaml"
_PLACES = ("sample", "secret")
_GROUP_FILES = ("testdata.yaml", "test_group.yaml")
_SEED = re.compile(r"\{seed(:[0-9]+)?\}")
_RANGE = re.compile(r"\s*(-?[0-9]+)\s*\.\.=\s*(-?[0-9]+)\s*")
_MOST = 2000  # recipes of a package
_MOST_COUNT = 100
_MOST_VISITED = 100_000  # groups and inputs, because aliases can nest without end
_LARGEST = 10**12
_PLACE = "generators"


@dataclass(frozen=True, slots=True)
class TestcaseRule:
    """A recipe, the name of its generator ("" if none), and the flags of its input."""

    recipe: Recipe
    generator: str
    told: CaseFlags


def read_recipes(folder: Folder, groups: Mapping[str, CaseFlags]) -> list[TestcaseRule]:
    """Return the package's recipes, in the file's order, without their programs.

    Args:
        folder: the package.
        groups: flags of the data folders; they override the file.
    """
    if not folder.has(_FILE):
        return []
    with folder.findings.leaving_out(_FILE):
        root = folder.mapping(_FILE)
        data = root.get("data")
        if isinstance(data, dict):
            reader = _Reader(folder, groups)
            try:
                reader.cases = reader.count(data)
                return reader.read(root, data)
            except RecursionError as error:
                raise folder.error(_FILE, "has endlessly nested groups; correct it") from error
        raise folder.error(_FILE, f"data is {describe(data)}; a mapping with sample and secret is allowed")
    return []


@dataclass(slots=True)
class _Reader:
    folder: Folder
    groups: Mapping[str, CaseFlags]
    cases: int = 0  # all numbered inputs, which sets the width of their numbers
    number: Callable[[], int] = field(default_factory=lambda: count(1).__next__)
    visited: int = 0

    def read(self, root: Mapping[str, Any], data: Mapping[str, Any]) -> list[TestcaseRule]:
        found: list[TestcaseRule] = []
        salt = str(root.get("random_salt") or "")
        above = self.groups.get("data", CaseFlags())
        for place in _PLACES:
            if isinstance(data.get(place), dict):
                for rule in self._group(data[place], place, salt, above):
                    found.append(rule)
                    if len(found) >= _MOST:
                        self.folder.findings.notes.append(f"{_FILE} has more than {_MOST} inputs; the first are used")
                        return found
        return found

    def count(self, group: Mapping[Any, Any]) -> int:
        """Return the number of numbered inputs in `group` and its subgroups."""
        self._visit()
        data = group.get("data", group)
        found = 0
        for value in (value for entry in _entries(data) for value in entry.values()):
            if _is_group(value):
                found += self.count(value)
            elif isinstance(data, list):
                found += len(_counts(value.get("count"))) if isinstance(value, dict) else 1
        return found

    def _visit(self) -> None:
        self.visited += 1
        if self.visited > _MOST_VISITED:
            raise self.folder.error(_FILE, f"has more than {_MOST_VISITED} groups; make it smaller")

    def _group(self, group: Mapping[Any, Any], path: str, salt: str, above: CaseFlags) -> Iterator[TestcaseRule]:
        self._visit()
        salt = str(group.get("random_salt") or salt)
        told = self._told(group, path, above)
        entries = group.get("data")
        numbered = isinstance(entries, list)
        groups = sum(_is_group(value) for entry in _entries(entries) for value in entry.values())
        next_group = count(1).__next__
        for entry in _entries(entries):
            # Named entries are found by name; a numbered entry has only one name.
            for key in sorted(entry, key=lambda key: str(key or "")):
                name, value = "" if key is None else str(key), entry[key]
                if _is_group(value):
                    name = _numbered(name, next_group(), groups) if numbered else name
                    yield from self._group(value, f"{path}/{name}", salt, told)
                else:
                    yield from self._case(value, path, name, salt, told, numbered=numbered)

    def _told(self, group: Mapping[Any, Any], path: str, above: CaseFlags) -> CaseFlags:
        if f"data/{path}" in self.groups:
            return self.groups[f"data/{path}"]
        for file in _GROUP_FILES:
            if isinstance(group.get(file), dict):
                with self.folder.findings.leaving_out(_FILE):
                    return flags_in_mapping(self.folder, _FILE, group[file], above)
        return above

    def _case(
        self, rule: object, path: str, name: str, salt: str, told: CaseFlags, *, numbered: bool
    ) -> Iterator[TestcaseRule]:
        """Yield the inputs of one entry: as many as its `count`."""
        said: Mapping[Any, Any] = (
            {"generate": rule} if isinstance(rule, str) else rule if isinstance(rule, dict) else {}
        )
        values = _counts(said.get("count"))
        wide = max(map(len, map(str, values))) if max(values) - min(values) == len(values) - 1 else 0
        for value in values:
            full = _numbered(name, self.number(), self.cases) if numbered else name
            full += f"-{value:0{wide}}" if "count" in said else ""
            place = f"{path}/{full}.in"
            try:
                yield self._rule(said, place, str(said.get("random_salt") or salt), told, value)
            except PackageError as error:
                self.folder.findings.left_out[f"{_FILE}: {place}"] = str(error).partition(f"{_FILE}: ")[2]

    def _rule(self, said: Mapping[Any, Any], place: str, salt: str, told: CaseFlags, value: int) -> TestcaseRule:
        missing = not self.folder.has(f"data/{place}")
        answer = said["ans"] if isinstance(said.get("ans"), str) else None
        ans = None if answer is None else _lines(answer)
        if isinstance(said.get("yaml"), dict):
            told = flags_in_mapping(self.folder, _FILE, said["yaml"], told)
        if isinstance(said.get("in"), str):
            return TestcaseRule(Recipe(place, data=_lines(said["in"]), answer=ans, missing=missing), "", told)
        if isinstance(said.get("copy"), str):
            stem = f"generators/{said['copy'].strip('/')}"
            ans = self.folder.data(f"{stem}.ans") if ans is None and self.folder.has(f"{stem}.ans") else ans
            data = self.folder.data(f"{stem}.in")
            return TestcaseRule(Recipe(place, data=data, answer=ans, missing=missing), "", told)
        command = said.get("generate")
        if not isinstance(command, str) or not command.strip():
            raise self.folder.error(_FILE, "has a test case without an input, a copy of one, or a program for one")
        command = self.folder.filled(command).replace("{count}", str(value))
        seed = salt + (f":{value - 1}" if value != 1 else "") + command.strip()
        generator, *args = _words(command)
        args = [_SEED.sub("{seed}", arg.replace("{name}", "testcase")) for arg in args]
        number = int(hashlib.sha512(seed.encode()).hexdigest(), 16) % 2**31
        return TestcaseRule(Recipe(place, None, tuple(args), number, b"", ans, missing), generator, told)


def _is_group(value: object) -> bool:
    return isinstance(value, dict) and "data" in value


def _entries(data: object) -> list[dict[Any, Any]]:
    return [entry for entry in (data if isinstance(data, list) else [data]) if isinstance(entry, dict)]


def _counts(found: object) -> list[int]:
    values = [1]
    if isinstance(found, int):
        values = list(range(1, min(found, _MOST_COUNT) + 1))
    elif isinstance(found, list):
        values = [value for value in found if isinstance(value, int) and abs(value) <= _LARGEST]
    elif isinstance(found, str) and (bounds := _RANGE.fullmatch(found)) and len(found) < 40:
        low, high = int(bounds[1]), int(bounds[2])
        values = list(range(low, min(high, low + _MOST_COUNT - 1) + 1))
    return values[:_MOST_COUNT] or [1]


def _numbered(name: str, number: int, of: int) -> str:
    return f"{number:0{len(str(of))}}" + (f"-{name}" if name else "")


def _lines(text: str) -> bytes:
    return (text if not text or text.endswith("\n") else f"{text}\n").encode()


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote that never ends
        return command.split()


def with_programs(folder: Folder, rules: Sequence[TestcaseRule]) -> list[TestcaseRule]:
    """Return the recipes with their programs. Recipes whose program cannot be used are left out, with a finding.

    A package with generators but no recipes has no arguments either: each program is tried with only a seed.
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
                except UnusableProgram:  # e.g. notes, or scripts that call the programs
                    continue
                found.append(TestcaseRule(Recipe(path, program, ("{seed}",)), path, CaseFlags()))
    return found


def _parts(folder: Folder) -> Mapping[Any, Any]:
    """Return the files of each generator by its name, as generators.yaml lists them."""
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
            raise folder.error(path, "missing, but generators.yaml calls it; add it")
        return read_program(folder, path, scripts=True)
    return None
