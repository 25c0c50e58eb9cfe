"""Recipes of a package: its generator programs with their arguments, which make further inputs from other seeds.

Commands are those of generators/generators.yaml (BAPCtools) with a seed in them. A package without that file has no
arguments either: each program is tried with only a seed.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from balancer.pipeline.packages.folder import Folder, UnusableProgram
from balancer.pipeline.packages.programs import program_of, read_program
from balancer.problem import Recipe
from balancer.program import Program

__all__ = ["read_recipes"]

_PLACE = "generators"
_FILE = "generators/generators.yaml"
_SEED = re.compile(r"\{seed(:[0-9]+)?\}")
_MOST = 2000  # recipes of a package


def read_recipes(folder: Folder) -> tuple[Recipe, ...]:
    """Return the package's recipes. Those whose program cannot be used are left out, with a finding."""
    if not folder.has(_FILE):
        return tuple(_without_commands(folder))
    root = folder.optional_mapping(_FILE)
    commands = dict.fromkeys(islice(_commands(root.get("data"), set()), _MOST))
    words = {command: _words(folder.filled(command)) for command in commands}
    programs = {name: _program(folder, name, root.get("generators")) for name in {each[0] for each in words.values()}}
    return tuple(
        Recipe(command, program, tuple(map(_filled, args)))
        for command, (name, *args) in words.items()
        if (program := programs[name]) is not None
    )


def _commands(found: object, seen: set[int]) -> Iterator[str]:
    """Yield the commands with a seed in groups and inputs. Aliases nest without end, so each part is visited once."""
    if isinstance(found, str) and _SEED.search(found):
        yield found.strip()
    elif isinstance(found, dict | list) and id(found) not in seen:
        seen.add(id(found))
        for each in found.values() if isinstance(found, dict) else found:
            yield from _commands(each, seen)


def _filled(word: str) -> str:
    return _SEED.sub("{seed}", word.replace("{name}", "testcase").replace("{count}", "1"))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote that never ends
        return command.split()


def _without_commands(folder: Folder) -> Iterator[Recipe]:
    with folder.findings.leaving_out(_PLACE):
        for path in folder.entries(_PLACE):
            with folder.findings.leaving_out(path):
                try:
                    program = read_program(folder, path, scripts=True)
                except UnusableProgram:  # e.g. notes, or scripts that call the programs
                    continue
                yield Recipe(path, program, ("{seed}",))


def _program(folder: Folder, name: str, parts: Any) -> Program | None:
    """Return the generator `name`; `parts`: the files of each by its name, as generators.yaml lists them."""
    path = f"{_PLACE}/{name.strip('/')}"
    with folder.findings.leaving_out(path):
        if isinstance(parts, Mapping) and isinstance(parts.get(name), list):
            files = {str(part): folder.data(f"{_PLACE}/{part}") for part in parts[name]}
            return program_of(folder, path, files, entry=next(iter(files), None))
        if not folder.has(path):
            raise folder.error(path, "missing, but generators.yaml calls it; add it")
        return read_program(folder, path, scripts=True)
    return None
