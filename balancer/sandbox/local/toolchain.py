"""Languages that this machine can run, by the tools that programs can see.

Also finds the Python interpreter, and the identity of compilers.
"""

import os
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from balancer.language import Language
from balancer.sandbox.languages.layout import SEARCH_PATH

__all__ = ["Toolchain", "find_toolchain", "trees_of", "version_of"]


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Languages and tools of this machine.

    Args:
        languages: those that can be run here, by name.
        python: the interpreter that runs Python programs; "" if there is none.
        trees: folders outside /usr that programs need to read.
        missing: language -> why it cannot be run here and what to install.
    """

    languages: Mapping[str, Language]
    python: str = ""
    trees: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


def find_toolchain(known: Iterable[Language]) -> Toolchain:
    """Return which of the languages `known` this machine can run. Takes a few ms; starts no program."""
    python, trees, no_python = _find_python()
    found: dict[str, Language] = {}
    missing: dict[str, str] = {}
    for language in known:
        needs_python = any("{python}" in part for part in (*language.run, *language.compile))
        reason = _lacking(language) or (no_python if needs_python else "")
        if reason:
            missing[language.name] = reason
        else:
            found[language.name] = language
    return Toolchain(found, python, trees, missing)


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


def _find_python() -> tuple[str, tuple[str, ...], str]:
    """Return the interpreter, the folders it needs beside /usr, and why there is none."""
    if system := _find("python3"):
        return system, (), ""
    binary = os.path.realpath(sys.executable)
    prefix = os.path.realpath(sys.base_prefix)
    # As root, programs run as another user, who must be able to read the interpreter.
    if os.geteuid() == 0 and not (_readable_by_others(binary) and _readable_by_others(prefix)):
        return "", (), f"the only Python is {binary}, which other users cannot read; install python3 under /usr"
    return binary, (prefix,), ""


def _readable_by_others(path: str) -> bool:
    """Return whether a user without special rights can reach and read `path`."""
    folders_open = all(parent.stat().st_mode & stat.S_IXOTH for parent in Path(path).parents)
    return folders_open and bool(os.stat(path).st_mode & stat.S_IROTH)
