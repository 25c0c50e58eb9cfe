"""Package discovery: the packages that a run is to judge, which can be read, and which are left out and why.

Decides that one bad package never keeps the others from being judged. It must not know what is wrong with one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from balancer.errors import PackageError
from balancer.pipeline.packages.archive import is_archive
from balancer.pipeline.packages.folder import shown_name
from balancer.pipeline.packages.read import read_problem
from balancer.problem import Problem

__all__ = ["LeftOutPackage", "Packages", "find_packages", "read_package", "read_packages"]

_MARK = "problem.yaml"
_MOST_SAID = 3  # lines of what is wrong with one package


@dataclass(frozen=True, slots=True)
class LeftOutPackage:
    """A package that cannot be judged, and why, in one line."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Packages:
    """What was found.

    Attributes:
        problems: by place among all packages: (place from 0, problem), sorted.
        left_out: those that cannot be judged, in the order of their names.
    """

    problems: tuple[tuple[int, Problem], ...] = ()
    left_out: tuple[LeftOutPackage, ...] = ()

    @property
    def read(self) -> tuple[Problem, ...]:
        """The problems without their places."""
        return tuple(problem for _, problem in self.problems)


def find_packages(root: Path | str) -> list[Path]:
    """List the packages in a folder, by name: folders and archives; or `root` itself, if it is one.

    Raises:
        PackageError: there are none.
    """
    root = Path(root)
    if _is_package(root):
        return [root]
    if not root.is_dir():
        raise PackageError(f"{root}: not a folder; name a problem package or a folder of them")
    try:
        packages = sorted((entry for entry in root.iterdir() if _is_package(entry)), key=lambda path: path.name)
    except OSError as error:
        raise PackageError(f"{root}: cannot be read ({error.strerror}); make it readable") from error
    if not packages:
        raise PackageError(f"{root}: no folder in it has a {_MARK}; name a problem package or a folder of them")
    return packages


def _is_package(path: Path) -> bool:
    mark = path / _MARK
    return is_archive(path) or (path.is_dir() and (mark.exists() or mark.is_symlink()))


def read_packages(
    root: Path | str, *, whole: bool = True, change: Callable[[Problem], Problem] = lambda problem: problem
) -> Packages:
    """Read one package, or all packages in a folder, sorted by name. Other entries are ignored.

    Args:
        whole: False: their data is looked at and not kept; see `read_problem`.
        change: what is kept of a problem, once it is read.

    Raises:
        PackageError: there are none, or none of them can be read; it has the lines of all of them.
    """
    root = Path(root)
    problems: list[tuple[int, Problem]] = []
    left_out: list[LeftOutPackage] = []
    lines: list[str] = []
    taken: dict[str, Path] = {}
    for place, path in enumerate(find_packages(root)):
        shown = shown_name(str(path))
        name = path.stem if is_archive(path) else path.resolve().name
        try:
            if name in taken:
                raise PackageError(
                    f"{shown}: is called as {shown_name(taken[name].name)} is, which is used; rename one"
                )
            if not name.isprintable():
                raise PackageError(f"{shown}: its name is no text; rename it")
            problems.append((place, change(read_package(path, whole=whole))))
            taken[name] = path
        except PackageError as error:
            lines += error.problems
            called = shown_name(path.name if name in taken else name)
            left_out.append(LeftOutPackage(called, "; ".join(_shortened(error, shown))))
    if not problems:
        raise PackageError(lines)
    return Packages(tuple(problems), tuple(left_out))


def read_package(path: Path, *, whole: bool = True) -> Problem:
    """Read one package. Raises PackageError for whatever keeps it from being read; see `read_problem`."""
    try:
        return read_problem(path, whole=whole)
    except (OSError, RecursionError) as error:
        raise PackageError(shown_name(f"{path}: cannot be read ({type(error).__name__}: {error}); mend it")) from error


def _shortened(error: PackageError, shown: str) -> Iterator[str]:
    said = [line.removeprefix(f"{shown}/").removeprefix(f"{shown}: ") for line in error.problems]
    yield from said[:_MOST_SAID]
    if len(said) > _MOST_SAID:
        yield f"and {len(said) - _MOST_SAID} more"
