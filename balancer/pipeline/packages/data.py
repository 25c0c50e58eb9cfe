"""A package's own test data: inputs, answers, and what their groups tell the validators.

Samples come first, then the rest by name, "2" before "10". All data groups must give the
validators the same flags, as a generated input belongs to no group. Programs are read elsewhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from balancer.pipeline.packages.folder import Findings, Folder, describe
from balancer.problem import Origin, Proposal

__all__ = ["Data", "GroupFlags", "read_data"]

_PLACES = ("data/sample", "data/secret")
_GROUP_FILES = ("testdata.yaml", "test_group.yaml")  # legacy, 2023-07
_OUTPUT_KEYS = ("output_validator_flags", "output_validator_args")
_INPUT_KEYS = ("input_validator_flags", "input_validator_args")


@dataclass(frozen=True, slots=True)
class GroupFlags:
    """What a data group tells the validators, for itself and the groups inside it."""

    output: tuple[str, ...] = ()
    input: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Data:
    """Known inputs in a stable order, and the flags that all their groups share."""

    proposals: tuple[Proposal, ...]
    flags: GroupFlags


def read_data(folder: Folder, findings: Findings) -> Data:
    """Read data/sample and data/secret; whatever is wrong with them goes to `findings`."""
    proposals: list[Proposal] = []
    groups: dict[str, GroupFlags] = {}
    root = _read_flags(folder, "data", GroupFlags(), findings)
    for place in _PLACES:
        for group, flags, files in _groups(folder, place, root, findings):
            found = _read_group(folder, files, findings)
            proposals += found
            if found:
                groups[group] = flags
    if not proposals:
        wrong = "no inputs; at least one '.in' file is needed in data/sample or data/secret, add one"
        findings.add(folder.error("data", wrong))
    return Data(tuple(proposals), _shared(folder, groups, findings))


def _groups(
    folder: Folder, path: str, above: GroupFlags, findings: Findings
) -> Iterator[tuple[str, GroupFlags, list[str]]]:
    """Yield each folder of data, its flags and its files."""
    entries: list[str] = []
    with findings.collect():
        entries = folder.entries(path)
    flags = _read_flags(folder, path, above, findings)
    yield path, flags, [entry for entry in entries if not folder.is_folder(entry)]
    for entry in entries:
        if folder.is_folder(entry):
            yield from _groups(folder, entry, flags, findings)


def _read_group(folder: Folder, files: list[str], findings: Findings) -> list[Proposal]:
    known = set(files)
    proposals = []
    for file in files:
        stem, _, kind = file.rpartition(".")
        with findings.collect():
            if kind == "in":
                answer = folder.data(f"{stem}.ans") if f"{stem}.ans" in known else None
                origin = Origin("data", file.removeprefix("data/"))
                proposals.append(Proposal(folder.data(file), origin, answer, sample=True))
            elif kind == "ans" and f"{stem}.in" not in known:
                raise folder.error(file, f"has no input {stem}.in beside it; add the input or take the answer out")
    return proposals


def _read_flags(folder: Folder, group: str, above: GroupFlags, findings: Findings) -> GroupFlags:
    flags = above
    for name in _GROUP_FILES:
        path = f"{group}/{name}"
        if folder.has(path):
            with findings.collect():
                settings = folder.mapping(path)
                output = _flags(folder, path, settings, _OUTPUT_KEYS, flags.output)
                flags = GroupFlags(output, _flags(folder, path, settings, _INPUT_KEYS, flags.input))
    return flags


def _flags(
    folder: Folder, path: str, settings: Mapping[str, Any], keys: tuple[str, ...], above: tuple[str, ...]
) -> tuple[str, ...]:
    for key in keys:
        found = settings.get(key)
        if isinstance(found, str):
            return tuple(found.split())
        if isinstance(found, list) and all(isinstance(flag, str) for flag in found):
            return tuple(found)
        if found is not None:
            raise folder.error(path, f"{key} is {describe(found)}; a text or a list of texts is allowed, use quotes")
    return above


def _shared(folder: Folder, groups: Mapping[str, GroupFlags], findings: Findings) -> GroupFlags:
    """Return the flags of all groups, which must be the same: a generated input belongs to no group."""
    distinct = list(dict.fromkeys(groups.values()))
    if len(distinct) > 1:
        shown = ", ".join(
            f"{group}: {' '.join(flags.output + flags.input) or '(none)'}" for group, flags in groups.items()
        )
        wrong = f"groups tell the validators different things ({shown}); one set of flags for all is allowed"
        findings.add(folder.error("data", wrong))
    return distinct[0] if distinct else GroupFlags()
