"""Problem sources: packages, all read beforehand, or rows of a data set, read one at a time.

Decides what a run must not go on with, if it was begun with something else, and what is kept in memory: the data of a
package only while it is judged. It must not know how a problem is judged.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from balancer.errors import PackageError
from balancer.pipeline.packages.collection import Packages, read_package, read_packages
from balancer.pipeline.packages.fingerprint import fingerprint, without_data
from balancer.pipeline.results.problems import SeenBefore
from balancer.pipeline.results.store import Store
from balancer.pipeline.rows.choice import Shard
from balancer.pipeline.rows.raw import are_rows, count_rows, look_for_rows
from balancer.pipeline.rows.read import BadRow, number_of_rows, read_rows
from balancer.pipeline.running.languages import with_python
from balancer.problem import Problem
from balancer.settings.pipeline import PipelineSettings

__all__ = ["FoundPackages", "ProblemSource", "SourcedProblem", "find_problems", "open_problem_source"]

_MOST_SAID = 10  # lines of a kind; there may be thousands

_DECIDING = {
    "budget_s",
    "compile_s",
    "generators",
    "max_inputs",
    "max_proposals",
    "max_rounds",
    "python",
    "quorum",
    "seed",
    "shrink",
    "time_limit_factor",
    "time_limit_s",
}
_DECIDING_ROWS = {"right", "seed", "split", "tests", "wrong"}


@dataclass(frozen=True, slots=True)
class FoundPackages:
    """The packages of a run, without their data, and the fingerprint of each as a whole, by id; none of rows."""

    packages: Packages = field(default_factory=Packages)
    fingerprints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourcedProblem:
    """A problem to be judged, or, if it is `done`, one that an earlier session has judged."""

    problem: Problem
    done: bool


@dataclass(frozen=True, slots=True)
class ProblemSource:
    """The problems of one run.

    Attributes:
        count: how many there are; None if the data does not tell.
        unit: what they are, in the plural.
        rows: whether they are rows of a data set.
        known: all of them, if they have been read; without their data.
        problems: yields them, and remembers in the store that they were met.
        whole: returns one of them with its data; raises PackageError if it is no longer what it was.
    """

    count: int | None
    unit: str
    rows: bool
    known: tuple[Problem, ...]
    problems: Iterator[SourcedProblem]
    whole: Callable[[Problem], Problem] = field(default=lambda problem: problem)


def find_problems(settings: PipelineSettings) -> FoundPackages:
    """Find the packages that `settings` name; none if it names rows, which must be there.

    Raises:
        ConfigError, PackageError: there are no such packages or rows, or no package can be read.
    """
    if are_rows(settings.problems):
        look_for_rows(settings.problems)
        return FoundPackages()
    fingerprints: dict[str, str] = {}

    def keep(problem: Problem) -> Problem:
        problem = with_python(problem, settings.python)
        fingerprints[problem.id] = fingerprint(problem)
        return without_data(problem)

    return FoundPackages(read_packages(Path(settings.problems), change=keep), fingerprints)


def open_problem_source(
    settings: PipelineSettings,
    found: FoundPackages,
    languages: Collection[str],
    store: Store,
    say: Callable[[str], object],
    share: Shard,
) -> ProblemSource:
    """Return the problems that `settings` name, once it is sure that the run may go on with them.

    Args:
        found: see `find_problems`.
        languages: those that some endpoint runs.
        store: which the run is remembered in.
        say: is told of packages and rows that are left out, or have changed.
        share: of the rows, or the packages, for this machine.

    Raises:
        ConfigError: there are no such rows, or the store holds a run with other problems.
    """
    if are_rows(settings.problems):
        return _rows(settings, languages, store, say, share)
    return _packages(settings, found, languages, store, say, share)


def _packages(
    settings: PipelineSettings,
    found: FoundPackages,
    languages: Collection[str],
    store: Store,
    say: Callable[[str], object],
    share: Shard,
) -> ProblemSource:
    packages, fingerprints = found.packages, found.fingerprints
    mine = [(place, problem) for place, problem in packages.problems if share.takes(place)]
    problems = tuple(problem for _, problem in mine)
    # One that was left out in an earlier session, and can be read now, was no part of what that session began with.
    mended = store.mended([problem.id for problem in problems])
    before = [problem for problem in problems if problem.id not in mended]
    known = [problem for problem in packages.read if problem.id not in mended]  # those of other shares, too
    store.claim(
        _claims(settings, before, fingerprints, languages, known),
        then=_claims(settings, problems, fingerprints, languages, packages.read),
    )
    store.describe({"kind": "packages", "problems": settings.problems})
    store.problems.leave_out_packages({package.name: package.why for package in packages.left_out})
    sparing = _Sparing(say)
    for package in packages.left_out:
        sparing("package is left out", f"package {package.name} is left out: {package.why}")
    for name in sorted(mended):
        sparing("package can be read now", f"package {name} was left out before, and can be read now: it is judged")
    met = [
        store.meet(problem, store.problems.place_of(problem.id, place), fingerprints[problem.id])
        for place, problem in mine
    ]
    taken = (SourcedProblem(problem, how is SeenBefore.DONE) for problem, how in zip(problems, met, strict=True))

    def whole(problem: Problem) -> Problem:
        return _read_again(problem, fingerprints[problem.id], settings.python)

    return ProblemSource(len(problems), "problems", False, problems, taken, whole)


def _read_again(problem: Problem, as_before: str, python: str) -> Problem:
    read = with_python(read_package(problem.path), python)
    if fingerprint(read) != as_before:
        raise PackageError(f"{problem.path}: has changed since the run began; put it back as it was, or use --fresh")
    return read


def _claims(
    settings: PipelineSettings,
    problems: Sequence[Problem],
    fingerprints: Mapping[str, str],
    languages: Collection[str],
    known: Sequence[Problem],
) -> dict[str, str]:
    used = {submission.program.language for problem in known for submission in problem.submissions}
    return {
        # A submission in a language that no endpoint runs is left out for good.
        "languages on the endpoints": ", ".join(sorted(used & set(languages))),
        **_settings(settings),
        **{f"problem {problem.id}": fingerprints[problem.id] for problem in problems},
    }


def _rows(
    settings: PipelineSettings, languages: Collection[str], store: Store, say: Callable[[str], object], share: Shard
) -> ProblemSource:
    place, wanted = settings.problems, settings.rows
    rows = read_rows(place, wanted, languages, share=share)
    first = next(rows, None)  # before anything is claimed: there may be no such data
    count = count_rows(place, wanted.split)
    store.claim(
        {
            "setting problems": place,
            **_settings(settings),
            **{f"setting rows.{name}": str(getattr(wanted, name)) for name in sorted(_DECIDING_ROWS)},
        }
    )
    store.describe({"kind": "rows", "problems": place, "split": wanted.split})
    found = rows if first is None else chain([first], rows)
    total = None if count is None else number_of_rows(count, wanted, share)
    return ProblemSource(total, "rows", True, (), _met(found, store, _Sparing(say), settings.python))


def _met(
    rows: Iterator[tuple[int, Problem | BadRow]], store: Store, say: "_Sparing", python: str
) -> Iterator[SourcedProblem]:
    for number, read in rows:
        if isinstance(read, BadRow):
            store.problems.leave_out_row(number, read.why)
            say("row is left out", str(read))
            continue
        problem = replace(with_python(read, python), id=store.problems.id_of(number, read.id))
        met = store.meet(problem, number, fingerprint(problem))
        if met is SeenBefore.CHANGED:
            say("row has changed", f"row {number}, {problem.id}, has changed since it was judged: it is judged anew")
        yield SourcedProblem(problem, met is SeenBefore.DONE)


class _Sparing:
    """Says the first lines of each kind, and that there are more."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._said: dict[str, int] = {}

    def __call__(self, kind: str, line: str) -> None:
        times = self._said[kind] = self._said.get(kind, 0) + 1
        if times <= _MOST_SAID:
            self._say(line)
        elif times == _MOST_SAID + 1:
            self._say(f"... and more of which a {kind}: they are counted, and not named here")


def _settings(settings: PipelineSettings) -> dict[str, str]:
    """Return what the verdicts depend on; endpoints, strategy and threads are not part of it."""
    chosen = settings.model_dump(include=_DECIDING)
    return {f"setting {name}": str(value) for name, value in chosen.items()}
