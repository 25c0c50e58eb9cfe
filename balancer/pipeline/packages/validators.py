"""Validators of a package: input validators, which are programs or grammars, and the output validator.

Decides which are used, and without which a package cannot be judged. `answer_validators` are not read, because no
expected outputs are made up.

Checktestdata grammars (`.ctd`) become programs: see `grammars`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from balancer.pipeline.packages.data import CaseFlags
from balancer.pipeline.packages.folder import Folder, UnusableProgram
from balancer.pipeline.packages.grammars import checktestdata_program
from balancer.pipeline.packages.programs import extension_of, headers_in, language_of, read_program
from balancer.pipeline.packages.settings import ProblemSettings
from balancer.program import Program

__all__ = ["InputValidators", "read_input_validators", "read_output_validator"]

_INPUT = ("input_validators", "input_validator", "input_format_validators")
_OUTPUT = ("output_validators", "output_validator")
_ONE = "output_validator"  # in the format of 2023-07 and later, this folder is one program
_GRAMMARS = (".ctd", ".viva")
_HEADED = ("c", "cpp")


@dataclass(frozen=True, slots=True)
class InputValidators:
    """Programs that accept or refuse inputs, and the texts of grammars.

    Attributes:
        programs: by path, with checktestdata grammars.
        grammars: path -> text of all grammars, also of those that cannot be run here.
    """

    programs: Mapping[str, Program]
    grammars: Mapping[str, str]

    def told(self, flags: CaseFlags) -> tuple[Program, ...]:
        """Return the programs with the arguments in `flags`."""
        return tuple(
            replace(program, args=flags.validator(PurePosixPath(path).name)) for path, program in self.programs.items()
        )


def read_input_validators(folder: Folder) -> InputValidators:
    programs: dict[str, Program] = {}
    grammars: dict[str, str] = {}
    for place in _INPUT:
        for path in _programs(folder, place):
            with folder.findings.leaving_out(path):
                if extension_of(path) in _GRAMMARS:
                    text = grammars[path] = folder.filled(folder.text(path))
                    if extension_of(path) == ".viva":
                        folder.findings.left_out[path] = "balancer does not run viva grammars"
                    else:
                        programs[path] = checktestdata_program(path, text.encode())
                else:
                    programs[path] = _read(folder, place, path)
    return InputValidators(programs, grammars)


def read_output_validator(folder: Folder, settings: ProblemSettings) -> Program | None:
    """Read the package's own output validator, if it asks for it, or if it has one and sets nothing."""
    found: list[Program] = []
    unusable: dict[str, str] = {}
    for place in _OUTPUT:
        one = place == _ONE and _is_one_program(folder, place)
        for path in [place] if one else _programs(folder, place):
            with folder.findings.collect():
                try:
                    found.append(_read(folder, place, path))
                except UnusableProgram as why:
                    unusable[path] = str(why)
    names = ", ".join(program.name for program in found)
    if settings.validation == "default":
        folder.findings.left_out.update(dict.fromkeys((program.name for program in found), "validation is default"))
        return None
    if len(found) > 1:
        wrong = f"found {names}; only one output validator is allowed, keep one"
    elif found:
        folder.findings.left_out.update(unusable)
        return found[0]
    elif settings.validation == "custom" or any(folder.is_folder(path) for path in unusable):
        reasons = "; ".join(f"{path}: {why}" for path, why in unusable.items())
        wrong = f"no output validator can be used{f' ({reasons})' if reasons else ''}; add one"
    else:
        folder.findings.left_out.update(unusable)
        return None
    folder.findings.add(folder.error(_OUTPUT[0], wrong))
    return None


def _programs(folder: Folder, place: str) -> Iterator[str]:
    """Yield each file and folder that is a program, or should be; headers are skipped."""
    with folder.findings.leaving_out(place):
        for path in folder.entries(place):
            if folder.is_folder(path) or not extension_of(path).startswith((".h", ".md", ".txt")):
                yield path


def _is_one_program(folder: Folder, place: str) -> bool:
    entries = folder.entries(place)
    files = [PurePosixPath(entry).name for entry in entries if not folder.is_folder(entry)]
    return any(name in ("build", "run") or language_of(name) is not None for name in files)


def _read(folder: Folder, place: str, path: str) -> Program:
    program = read_program(folder, path, scripts=True)
    if program.language not in _HEADED or folder.is_folder(path):
        return program
    return replace(program, extras=tuple(sorted({**headers_in(folder, place), **dict(program.extras)}.items())))
