"""Languages that this machine can run, by the tools that programs can see, and the identity of compilers."""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from balancer.program import Language
from balancer.sandbox.languages.layout import SEARCH_PATH

__all__ = ["Toolchain", "find_toolchain", "trees_of", "version_of"]


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Languages of this machine.

    Args:
        languages: those that can be run here, by name.
        missing: language -> why it cannot be run here and what to install.
    """

    languages: Mapping[str, Language]
    missing: Mapping[str, str]


def find_toolchain(known: Iterable[Language]) -> Toolchain:
    """Return which of the languages `known` this machine can run. Takes a few ms; starts no program."""
    lacking = [(language, _lacking(language)) for language in known]
    return Toolchain(
        {language.name: language for language, reason in lacking if not reason},
        {language.name: reason for language, reason in lacking if reason},
    )


def version_of(language: Language) -> str:
    """Return a text that changes with the tools of `language`: the path, size and date of each."""
    found = [os.path.realpath(path) for tool in language.tools if (path := _find(tool))]
    facts = [(path, os.stat(path)) for path in found]
    return " ".join(f"{path}:{fact.st_size}:{fact.st_mtime_ns}" for path, fact in facts)


def trees_of(language: Language) -> tuple[str, ...]:
    """Return the folders outside /usr that the tools of `language` read, and that exist."""
    return tuple(tree for tree in language.trees if os.path.isdir(tree))


def _lacking(language: Language) -> str:
    """Return why the tools of `language` are missing; "" if they are here."""
    for tool in language.tools:
        if _find(tool) is None:
            elsewhere = shutil.which(tool)
            if elsewhere:
                return f"{tool} is {elsewhere}, which programs in the sandbox cannot see; install it under /usr"
            return f"no {tool} under /usr; install {language.install or tool}"
    return ""


def _find(tool: str) -> str | None:
    return shutil.which(tool, path=SEARCH_PATH)
