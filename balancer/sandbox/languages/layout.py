"""Files of a program: its source with its name, and its other files.

If two files want one name, the source gets another one.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from balancer.program import Language, Program

__all__ = ["ENVIRONMENT", "SEARCH_PATH", "ProgramLayout", "check_name", "check_together", "filled", "lay_out"]

# Programs see only /usr (and its usual aliases), so tools are searched only there.
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# The whole environment of a program. A fixed hash seed makes Python's set order, and so a program's
# output, the same every time.
ENVIRONMENT = MappingProxyType(
    {
        "PATH": SEARCH_PATH,
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
)

_ASIDE = "balancer_main"
_PART_BYTES, _NAME_BYTES, _PARTS = 255, 1024, 64  # a part as long as file systems take; a path well below Linux' 4096


@dataclass(frozen=True, slots=True)
class ProgramLayout:
    """A program as files.

    Attributes:
        files: relative name -> content, with the program's source.
        own: names of the source and of files made from it; no file of a run may have one.
        compile, pragmatic, run: the command templates of the language, with the source's name; () for none.
        further: arguments after the two compile templates.
    """

    files: Mapping[str, bytes]
    own: frozenset[str]
    compile: tuple[str, ...]
    pragmatic: tuple[str, ...]
    run: tuple[str, ...]
    further: tuple[str, ...]

    @property
    def sources(self) -> dict[str, bytes]:
        """The program's source, and files made from it."""
        return {name: content for name, content in self.files.items() if name in self.own}

    @property
    def extras(self) -> dict[str, bytes]:
        """Its other files, which are there when it is built and when it runs."""
        return {name: content for name, content in self.files.items() if name not in self.own}

    def digest(self, *facts: str) -> str:
        """Return a digest of the compiled program: of all that the compiler gets, and of further `facts`."""
        hashed = hashlib.sha256()
        for text in (*facts, *self.compile, "", *self.pragmatic, "", *self.further):
            hashed.update(text.encode("utf-8", "surrogateescape") + b"\0")
        for name, content in sorted(self.files.items()):
            hashed.update(f"\0{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
            hashed.update(content)
        return hashed.hexdigest()


def check_name(name: str) -> str:
    """Return `name` if it is a safe relative file name.

    Raises:
        ValueError: it is absolute, leads out of the folder, or is not a file name.
    """
    parts = name.split("/")  # the first one of an absolute name is empty
    if ".." in parts or "." in parts or "" in parts or "\0" in name:
        raise ValueError(f"file name {name!r} is not allowed; it must be relative, without '.', '..' or empty parts")
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    if max(sizes) > _PART_BYTES or sum(sizes) + len(parts) - 1 > _NAME_BYTES or len(parts) > _PARTS:
        raise ValueError(
            f"file name {name[:40] + '...'!r} is not allowed: it has {len(parts)} parts, the longest of {max(sizes)} "
            f"bytes; it may have {_PARTS} parts of {_PART_BYTES} bytes, and {_NAME_BYTES} bytes in all"
        )
    return name


def check_together(names: Iterable[str]) -> None:
    """Raise ValueError if files of these names cannot be in one folder: one is a folder of another."""
    all_names = set(names)
    for name in all_names:
        for parent in PurePosixPath(name).parents:
            if str(parent) in all_names:
                raise ValueError(f"file name {str(parent)!r} is a folder of {name!r}; rename one of them")


def filled(command: Iterable[str], places: Mapping[str, str]) -> tuple[str, ...]:
    """Return a command template with its places filled in, e.g. "{output}"."""
    parts = []
    for part in command:
        for place, text in places.items():
            part = part.replace(place, text)
        parts.append(part)
    return tuple(parts)


def lay_out(language: Language, program: Program) -> ProgramLayout:
    """Return `program` as files.

    Raises:
        ValueError: a file name is not safe.
    """
    sources = dict(language.sources(program.source.encode("utf-8", "surrogateescape")))
    given = {check_name(name): content for name, content in program.extras}
    extras = {name: content for name, content in given.items() if sources.get(name) != content}
    renamed: dict[str, str] = {}
    for name in [name for name in sources if name in extras]:
        aside = _ASIDE
        while (free := f"{aside}{PurePosixPath(name).suffix}") in extras or free in sources:
            aside += "_"
        renamed[name] = free
        sources[free] = sources.pop(name)
    # If all sources are joined, the template's own source may be any of them.
    others = (*extras, *renamed.values()) if language.joined else tuple(extras)
    further = tuple(each for each in language.further(others) if each != f"./{language.file}")
    commands = [
        command if language.joined else tuple(renamed.get(part, part) for part in command)
        for command in (language.compile, language.pragmatic, language.run)
    ]
    return ProgramLayout({**extras, **sources}, frozenset(sources), commands[0], commands[1], commands[2], further)
