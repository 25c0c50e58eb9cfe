"""Test data of a package: inputs, answers and flags.

Samples come first, then the rest by name, "2" before "10". A file that cannot be read is left out and named. Made-up
inputs belong to no group. They are treated like most of the package's own inputs.

Flags and arguments of data groups and single inputs, for validators and submissions: a group inherits what it does not
set, and an input may override it (format of 2023-07 and later).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import Folder, describe
from balancer.problem import Origin, Proposal

__all__ = ["CaseFlags", "PackageData", "read_data", "usual_flags"]

_GROUP_FILES = ("testdata.yaml", "test_group.yaml")  # legacy, 2023-07
_OUTPUT_KEYS = ("output_validator_flags", "output_validator_args")
_INPUT_KEYS = ("input_validator_flags", "input_validator_args")
_ANY = ""  # any validator that is not named
_PLACES = ("data/sample", "data/secret")


@dataclass(frozen=True, slots=True)
class CaseFlags:
    """Flags and arguments for some inputs.

    Args:
        output: flags of the output validator.
        input: flags of the input validators, by the validator's name; "": of all others.
        args: arguments of the submissions, and of the input validators after their flags.
    """

    output: tuple[str, ...] = ()
    input: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    args: tuple[str, ...] = ()

    def validator(self, name: str) -> tuple[str, ...]:
        """Return the arguments of the input validator `name`."""
        return self.input.get(name, self.input.get(_ANY, ())) + self.args


def _flags_of_group(folder: Folder, group: str, told: CaseFlags) -> CaseFlags:
    """Return the flags of the folder `group`; `told` are those of its parent."""
    for name in _GROUP_FILES:
        told = _told_by(folder, f"{group}/{name}", told)
    return told


def _told_by(folder: Folder, path: str, above: CaseFlags) -> CaseFlags:
    with folder.findings.leaving_out(path):
        said = folder.optional_mapping(path)
        return CaseFlags(
            _flags(folder, path, said, _OUTPUT_KEYS, above.output),
            _input_flags(folder, path, said, above.input),
            _flags(folder, path, said, ("args",), above.args),
        )
    return above


def _input_flags(
    folder: Folder, path: str, said: Mapping[str, Any], above: Mapping[str, tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    for key in _INPUT_KEYS:
        found = said.get(key)
        if isinstance(found, dict) and found.keys() == {"name", "flags"}:  # legacy: of one validator
            return {str(found["name"]): _flags(folder, path, found, ("flags",), ())}
        if isinstance(found, dict):
            return {str(name): _flags(folder, path, found, (name,), ()) for name in found}
        if found is not None:
            return {_ANY: _flags(folder, path, said, (key,), ())}
    return above


def _flags(
    folder: Folder, path: str, said: Mapping[Any, Any], keys: tuple[str, ...], above: tuple[str, ...]
) -> tuple[str, ...]:
    for key in keys:
        found = said.get(key)
        if isinstance(found, str):
            return tuple(folder.filled(found).split())
        if isinstance(found, list) and all(isinstance(flag, str | int | float) for flag in found):
            return tuple(folder.filled(str(flag)) for flag in found)
        if isinstance(found, dict) and "flags" in found:  # legacy: of a named validator
            return _flags(folder, path, found, ("flags",), above)
        if found is not None:
            raise folder.error(path, f"{key} is {describe(found)}; a text or a list of texts is allowed, use quotes")
    return above


@dataclass(frozen=True, slots=True)
class KnownInput:
    """One input of the package, its flags, and the files beside a program that runs on it."""

    proposal: Proposal
    told: CaseFlags
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class PackageData:
    """Known inputs in a stable order, and the flags of each data folder, always with "data/secret"."""

    known: tuple[KnownInput, ...]
    groups: Mapping[str, CaseFlags]


def read_data(folder: Folder) -> PackageData:
    """Read data/sample and data/secret."""
    known: list[KnownInput] = []
    groups: dict[str, CaseFlags] = {}
    root = _flags_of_group(folder, "data", CaseFlags())
    for place in _PLACES:
        for group, told, files in _groups(folder, place, root):
            groups[group] = told
            known += _read_group(folder, files, told)
    return PackageData(tuple(known), groups)


def usual_flags(folder: Folder, data: PackageData) -> CaseFlags:
    """Return the flags of most inputs. Of equally frequent ones, those of the secret inputs."""
    told = [known.told for known in data.known]
    if not told:
        return data.groups.get("data/secret", CaseFlags())
    counts = Counter(map(repr, told))
    most = max(counts.values())
    chosen = next(each for each in reversed(told) if counts[repr(each)] == most)
    if len(counts) > 1:
        flags = " ".join((*chosen.output, *(flag for flags in chosen.input.values() for flag in flags), *chosen.args))
        folder.findings.notes.append(
            f"its groups have {len(counts)} different sets of validator flags: each input has its own, "
            f"made-up ones have those of {most} of its {len(told)} inputs ({flags or 'none'})"
        )
    return chosen


def _groups(folder: Folder, path: str, above: CaseFlags) -> Iterator[tuple[str, CaseFlags, list[str]]]:
    entries: list[str] = []
    with folder.findings.leaving_out(path):
        entries = folder.entries(path)
    told = _flags_of_group(folder, path, above)
    yield path, told, [entry for entry in entries if not folder.is_folder(entry)]
    for entry in entries:
        if folder.is_folder(entry) and not entry.endswith(".files"):
            yield from _groups(folder, entry, told)


def _read_group(folder: Folder, files: list[str], told: CaseFlags) -> Iterator[KnownInput]:
    names = set(files)
    for file in files:
        stem, _, kind = file.rpartition(".")
        if kind == "ans" and f"{stem}.in" not in names:
            folder.findings.left_out[file] = f"has no input {stem.rpartition('/')[2]}.in beside it"
        if kind != "in":
            continue
        with folder.findings.leaving_out(file):
            known = _known(folder, stem, names)
            yield replace(known, told=_told_by(folder, f"{stem}.yaml", told))


def _known(folder: Folder, stem: str, names: set[str]) -> KnownInput:
    answer = _answer(folder, f"{stem}.ans") if f"{stem}.ans" in names else None
    origin = Origin("data", f"{stem}.in".removeprefix("data/"))
    proposal = Proposal(folder.case(f"{stem}.in"), origin, answer, sample=True)
    beside = [path for path in folder.files(f"{stem}.files") if folder.has(path)]
    files = tuple((path.removeprefix(f"{stem}.files/"), folder.case(path)) for path in beside)
    return KnownInput(proposal, CaseFlags(), files)


def _answer(folder: Folder, path: str) -> bytes:
    """Return an expected output. Without it the input is not used, because a checker may need it."""
    try:
        return folder.case(path)
    except PackageError as error:
        line = error.problems[0]
        raise folder.error(path.removesuffix(".ans") + ".in", f"its answer cannot be read: {line}") from error
