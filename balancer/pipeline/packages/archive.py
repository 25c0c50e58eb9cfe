"""Package archives: `.zip` or `.kpp` (which is a zip), unpacked into a folder that is gone afterwards.

Decides what is taken out of it: ordinary files, and links that stay inside. An archive is somebody else's: it may
unpack to any size, and its names may lead anywhere. What it takes is bounded, and no file lands outside the folder.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from balancer.errors import PackageError
from balancer.pipeline.packages.folder import MAX_FILE_BYTES
from balancer.scratch import Scratch

__all__ = ["is_archive", "unpacked"]

_ENDINGS = (".zip", ".kpp")
_MOST_BYTES = 2**30  # of all files together, unpacked
_MOST_FILES = 20_000
_CHUNK = 2**20
_MARK = "problem.yaml"


def is_archive(path: Path) -> bool:
    """Return whether `path` is a file that is called as an archive is."""
    return path.suffix.lower() in _ENDINGS and path.is_file()


@contextmanager
def unpacked(archive: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give the folder that has what is in `archive`, from the one folder in it on if there is one; and path -> why for
    files that were left out.

    Raises:
        PackageError: it cannot be unpacked.
    """
    with Scratch("balancer-package-") as folder:
        root = folder.path / "content"
        root.mkdir()
        try:
            left_out = _unpack(archive, root)
        except (
            OSError,
            zipfile.BadZipFile,
            RuntimeError,
            NotImplementedError,
            ValueError,
            zlib.error,
            EOFError,
        ) as error:
            raise PackageError(f"{archive}: cannot be unpacked ({error}); it must be a zip without password") from error
        inside = [entry for entry in root.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
        if not (root / _MARK).exists() and len(inside) == 1 and inside[0].is_dir():
            prefix = f"{inside[0].name}/"
            root, left_out = inside[0], {path.removeprefix(prefix): why for path, why in left_out.items()}
        yield root, left_out


def _unpack(archive: Path, root: Path) -> dict[str, str]:
    left_out: dict[str, str] = {}
    links: list[tuple[Path, str]] = []
    total = 0
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
        if len(entries) > _MOST_FILES:
            raise PackageError(f"{archive}: has {len(entries)} files; {_MOST_FILES} are allowed, leave some out")
        for entry in entries:
            path = PurePosixPath(entry.filename)
            target = root / path
            if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or not entry.filename.isprintable():
                left_out[ascii(entry.filename)] = "its name leads out of the package, or is no text"
            elif entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif entry.file_size > MAX_FILE_BYTES:
                left_out[entry.filename] = f"has {entry.file_size} bytes; {MAX_FILE_BYTES} (64 MiB) are allowed"
            elif target.exists():
                left_out[entry.filename] = "the archive has it twice; the first is used"
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                total += _write(archive, file, entry, target, _MOST_BYTES - total)
                if stat.S_ISLNK(entry.external_attr >> 16):
                    links.append((target, entry.filename))
    for target, name in links:  # last: nothing is ever written through one
        aim = target.read_bytes()[:4096].decode(errors="replace")
        target.unlink()
        if aim.isprintable():
            target.symlink_to(aim)  # where it leads is looked at when it is read
        else:
            left_out[name] = "is a link to nowhere"
    return left_out


def _write(archive: Path, file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, allowed: int) -> int:
    """Write one file, and return its size; what the archive says of it is not believed."""
    written = 0
    with file.open(entry) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > min(allowed, MAX_FILE_BYTES):
                raise PackageError(f"{archive}: unpacks to more than {_MOST_BYTES} bytes (1 GiB), which is not done")
            sink.write(chunk)
    return written
