"""Package folder: bytes, text and YAML of its files; and unpacked archives.

Only regular files of limited size inside the package are read. Links out of it are not followed, and nothing is
executed.

Package archives (`.zip`, or `.kpp`, which is a zip) are unpacked into a temporary folder: regular files, and links that
stay inside. An archive is not trusted: its size is limited, and no file is written outside the folder.
"""

import os
import re
import reprlib
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from balancer.errors import PackageError
from balancer.scratch import Scratch

__all__ = [
    "MAX_FILE_BYTES",
    "Findings",
    "Folder",
    "UnusableProgram",
    "describe",
    "is_archive",
    "shown_name",
    "unpacked",
]

# The largest inputs of archives have some tens of MB. More is a mistake, and every byte is in memory.
MAX_FILE_BYTES = 64 * 2**20
_SHOWN_CHARACTERS = 60
_CLUTTER = frozenset({"__pycache__", "__MACOSX"})
_CONSTANT = re.compile(r"\{\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)\}\}")
_ENDINGS = (".zip", ".kpp")
_MOST_BYTES = 2**30  # of all unpacked files together
_MOST_FILES = 20_000
_MARK = "problem.yaml"


class UnusableProgram(Exception):
    """A program that cannot be used, and why; it is not a fault of the package."""


class Findings:
    """All errors of a package, one line each, so that a person can correct them at once.

    Attributes:
        lines: errors that make the package unreadable.
        left_out: path -> why it is not used; the rest can be.
        notes: other notes for a person, a line each.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.left_out: dict[str, str] = {}
        self.notes: list[str] = []

    def add(self, error: PackageError) -> None:
        """Keep the lines of `error`, each once: several readers may find the same error."""
        self.lines.extend(line for line in error.problems if line not in self.lines)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep the lines of a PackageError raised in the block, and continue after it."""
        try:
            yield
        except PackageError as error:
            self.add(error)

    @contextmanager
    def leaving_out(self, path: str, name: str = "") -> Iterator[None]:
        """Leave out `path`, shown as `name` if given, for an error raised in the block, and continue after it.

        Errors are PackageError and UnusableProgram.
        """
        try:
            yield
        except UnusableProgram as why:
            self.left_out[name or path] = str(why)
        except PackageError as error:
            self.left_out.setdefault(name or path, _bare(str(error.problems[0]), path))

    def raise_any(self) -> None:
        """Raise one PackageError with all lines, if there are any."""
        if self.lines:
            raise PackageError(self.lines)


class Folder:
    """Reads one package. Paths are relative to its root, and shown with it.

    Methods that read a file raise PackageError, with one line, if it cannot be read.

    Args:
        root: the folder.
        shown: the path to show instead, e.g. of the archive that it was unpacked from.
        whole: False: data files are checked, but not kept; see `case`.

    Attributes:
        findings: errors of the package so far.
        constants: "name" and "name.variant" -> the value of `{{name}}` in its texts, after its settings are read.
        odd_names: printable forms of file names that are not text; these files are ignored.
    """

    def __init__(self, root: Path, shown: Path | None = None, *, whole: bool = True) -> None:
        self.root = root
        self.shown = shown or root
        self._whole = whole
        self.findings = Findings()
        self.constants: Mapping[str, str] = {}
        self.odd_names: set[str] = set()
        self._real_root = root.resolve()

    def error(self, path: str, found: str) -> PackageError:
        return PackageError(f"{shown_name(str(self.shown / path))}: {found}")

    def has(self, path: str) -> bool:
        """Return whether `path` exists."""
        return (self.root / path).exists()

    def is_folder(self, path: str) -> bool:
        return (self.root / path).is_dir()

    def entries(self, path: str) -> list[str]:
        """Return the paths in the folder, "2.in" before "10.in"; none if it is missing. Hidden files are ignored."""
        folder = self.root / path
        if not folder.is_dir() and not folder.is_symlink():
            return []
        self._check_inside(path)
        if not folder.is_dir():
            return []
        try:
            names = [entry.name for entry in folder.iterdir()]
        except OSError as error:
            raise self.error(path, f"cannot be read ({error.strerror}); make it readable") from error
        self.odd_names.update(shown_name(f"{path}/{name}") for name in names if not _is_text(name))
        kept = [name for name in names if _is_text(name) and not name.startswith(".") and name not in _CLUTTER]
        return [f"{path}/{name}" for name in sorted(kept, key=_natural)]

    def files(self, path: str) -> list[str]:
        """Return all files at `path`, with those in subfolders; `path` itself if it is a file."""
        if not self.is_folder(path):
            return [path]
        return [file for entry in self.entries(path) for file in self.files(entry)]

    def data(self, path: str) -> bytes:
        """Return the bytes of the file at `path`."""
        return self._read(path, -1)

    def case(self, path: str) -> bytes:
        """Return the bytes of a data file, as `data` does; empty if data is not kept."""
        return self._read(path, -1 if self._whole else 0)

    def _read(self, path: str, size: int) -> bytes:
        self._check_inside(path)
        file = self.root / path
        if not file.is_file():  # a named pipe would block for ever
            raise self.error(path, "is not an ordinary file; only files are allowed here, remove it")
        try:
            has = file.stat().st_size
            if has > MAX_FILE_BYTES:
                raise self.error(path, f"has {has} bytes; {MAX_FILE_BYTES} (64 MiB) are allowed, make it smaller")
            with file.open("rb") as opened:
                return opened.read(size)
        except OSError as error:
            raise self.error(path, f"cannot be read ({error.strerror}); make it readable") from error

    def text(self, path: str) -> str:
        """Return the text of the file at `path`, which must be UTF-8 (a byte-order mark is dropped)."""
        try:
            return self.data(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(path, f"is not UTF-8 (byte {error.start}); save it as UTF-8") from error

    def filled(self, text: str) -> str:
        """Return `text` with the values of its constants. Unknown names do not change."""
        return _CONSTANT.sub(lambda name: self.constants.get(name[1], name[0]), text) if self.constants else text

    def mapping(self, path: str) -> Mapping[str, Any]:
        """Return the mapping in the YAML file at `path`; an empty file is an empty mapping."""
        try:
            found = yaml.safe_load(self.text(path))
        except yaml.MarkedYAMLError as error:
            raise self._yaml_error(path, error) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise self.error(path, f"is not YAML ({_one_line(error)}); fix the syntax") from error
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise self.error(path, f"holds {describe(found)}; a mapping 'key: value' is allowed, write one")
        return found

    def optional_mapping(self, path: str) -> Mapping[str, Any]:
        """Return the mapping at `path`; an empty one if there is no file, or it is left out."""
        if self.has(path):
            with self.findings.leaving_out(path):
                return self.mapping(path)
        return {}

    def _yaml_error(self, path: str, error: yaml.MarkedYAMLError) -> PackageError:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        reason = error.problem or "unknown syntax"
        return PackageError(f"{shown_name(str(self.shown / path))}{line}: is not YAML ({reason}); fix the syntax")

    def _check_inside(self, path: str) -> None:
        try:
            real = (self.root / path).resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise self.error(path, "is a link to nowhere or a missing file; put the file there") from error
        if not real.is_relative_to(self._real_root):
            raise self.error(path, "is a link that leads outside the package; put a copy there")
        if self.is_folder(path) and real != self._real_root / path:
            raise self.error(path, "is a link to a folder; links to files in the package are allowed, put a copy there")


def describe(value: object) -> str:
    """Return a YAML value as a line of limited length (aliases can nest without end)."""
    return _one_line(reprlib.repr(value))


def _one_line(thing: object) -> str:
    text = " ".join(str(thing).split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def shown_name(name: str) -> str:
    """Return a file name as printable text: bytes that are not text become \\xe9 and the like."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _is_text(name: str) -> bool:
    """Return whether a file's name is text. Bytes that are not UTF-8 come as surrogates, which cannot be stored."""
    return name.isprintable()


def _bare(line: str, path: str) -> str:
    """Return `line` without its place, which is shown beside it."""
    place, _, rest = line.partition(f"{path}: ")
    return rest or place


def _natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that compares numbers as numbers. Text and numbers alternate, so they are never compared."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), name


def is_archive(path: Path) -> bool:
    """Return whether `path` is a file with the extension of an archive."""
    return path.suffix.lower() in _ENDINGS and path.is_file()


@contextmanager
def unpacked(archive: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield the folder with the archive's content, or its only subfolder; and path -> why for files left out.

    Raises:
        PackageError: it cannot be unpacked.
    """
    with Scratch("balancer-package-") as folder:
        root = folder.path / "content"
        root.mkdir()
        try:
            left_out = _unpack(archive, root)
        except (OSError, zipfile.BadZipFile, RuntimeError, ValueError, zlib.error, EOFError) as error:
            raise PackageError(f"{archive}: cannot be unpacked ({error}); it must be a zip without password") from error
        inside = [entry for entry in root.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
        if not (root / _MARK).exists() and len(inside) == 1 and inside[0].is_dir():
            prefix = f"{inside[0].name}/"
            root, left_out = inside[0], {path.removeprefix(prefix): why for path, why in left_out.items()}
        yield root, left_out


def _unpack(archive: Path, root: Path) -> dict[str, str]:
    left_out: dict[str, str] = {}
    links: list[Path] = []
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
        if len(entries) > _MOST_FILES:
            raise PackageError(f"{archive}: has {len(entries)} files; {_MOST_FILES} are allowed, leave some out")
        if sum(entry.file_size for entry in entries) > _MOST_BYTES:  # a file that has more than it says is no zip
            raise PackageError(f"{archive}: unpacks to more than {_MOST_BYTES} bytes (1 GiB); make it smaller")
        for entry in entries:
            path = PurePosixPath(entry.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or not entry.filename.isprintable():
                left_out[ascii(entry.filename)] = "its name leads out of the package, or is not text"
            elif entry.file_size > MAX_FILE_BYTES:
                left_out[entry.filename] = f"has {entry.file_size} bytes; {MAX_FILE_BYTES} (64 MiB) are allowed"
            elif (root / path).exists() and not entry.is_dir():
                left_out[entry.filename] = "the archive has it twice; the first is used"
            else:
                file.extract(entry, root)
                links += [root / path] if stat.S_ISLNK(entry.external_attr >> 16) else []
    for link in links:  # last, so that nothing is written through a link; its target is checked when it is read
        aim = os.fsdecode(link.read_bytes()[:4096])
        link.unlink()
        link.symlink_to(aim)
    return left_out
