"""Flags and arguments of data groups and of single inputs, for the validators and submissions of a package.

Decides what is inherited: a group passes on what it does not say itself, and an input may say it for itself (format of
2023-07 and later). It must not know which validators there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from balancer.pipeline.packages.folder import Folder, describe

__all__ = ["CaseFlags", "flags_in_mapping", "flags_of_group", "flags_of_input"]

_GROUP_FILES = ("testdata.yaml", "test_group.yaml")  # legacy, 2023-07
_OUTPUT_KEYS = ("output_validator_flags", "output_validator_args")
_INPUT_KEYS = ("input_validator_flags", "input_validator_args")
_ANY = ""  # stands for every validator that is not named


@dataclass(frozen=True, slots=True)
class CaseFlags:
    """What is told for some inputs.

    Args:
        output: flags of the output validator.
        input: flags of the input validators, by the validator's name; "": of those that are not named.
        args: arguments of the submissions, and of the input validators behind their flags.
    """

    output: tuple[str, ...] = ()
    input: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    args: tuple[str, ...] = ()

    def validator(self, name: str) -> tuple[str, ...]:
        """Return the arguments of the input validator `name`."""
        return self.input.get(name, self.input.get(_ANY, ())) + self.args


def flags_of_group(folder: Folder, group: str, above: CaseFlags) -> CaseFlags:
    """Return what the folder `group` tells, where `above` is what the folder around it does."""
    told = above
    for name in _GROUP_FILES:
        told = _told_by(folder, f"{group}/{name}", told)
    return told


def flags_of_input(folder: Folder, stem: str, above: CaseFlags) -> CaseFlags:
    """Return what is told for the input at `stem` (without ".in")."""
    return _told_by(folder, f"{stem}.yaml", above)


def _told_by(folder: Folder, path: str, above: CaseFlags) -> CaseFlags:
    with folder.findings.leaving_out(path):
        return flags_in_mapping(folder, path, folder.optional_mapping(path), above)
    return above


def flags_in_mapping(folder: Folder, path: str, said: Mapping[str, Any], above: CaseFlags) -> CaseFlags:
    """Return what the mapping `said`, which stands in the file `path`, tells. Raises PackageError for odd flags."""
    told = replace(above, output=_flags(folder, path, said, _OUTPUT_KEYS, above.output))
    told = replace(told, args=_flags(folder, path, said, ("args",), above.args))
    return replace(told, input=_input_flags(folder, path, said, above.input))


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
        if isinstance(found, dict) and "flags" in found:  # legacy: of a validator that is named
            return _flags(folder, path, found, ("flags",), above)
        if found is not None:
            raise folder.error(path, f"{key} is {describe(found)}; a text or a list of texts is allowed, use quotes")
    return above
