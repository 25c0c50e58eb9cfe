"""Problem sources: packages, all read in advance, or rows of a data set, read one at a time.

Decides with which changed problems a run must not continue, and what is in memory: a package's data only while it is
judged.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from balancer.errors import PackageError
from balancer.pipeline.packages.fingerprint import fingerprint, without_data
from balancer.pipeline.packages.read import Packages, read_package, read_packages
from balancer.pipeline.results.problem_result import why_left_out
from balancer.pipeline.results.store import SeenBefore, Store
from balancer.pipeline.rows.raw import are_rows, count_rows, look_for_rows
from balancer.pipeline.rows.read import BadRow, Shard, number_of_rows, read_rows
from balancer.problem import Problem
from balancer.reporting.words import count
from balancer.rows.solutions import LANGUAGES
from balancer.settings.pipeline import PipelineSettings

__all__ = [
    "FoundPackages",
    "ProblemSource",
    "find_packages",
    "languages_in",
    "lines_on_missing",
    "open_problem_source",
    "with_python",
]

_MOST_SAID = 10  # lines of a kind, of which there may be thousands

_DECIDING = {
    "budget_s",
    "compile_s",
    "generators",
    "max_inputs",
    "max_rounds",
    "python",
    "seed",
    "time_limit_factor",
    "time_limit_s",
}
_DECIDING_ROWS = {"right", "split", "tests", "wrong"}


@dataclass(frozen=True, slots=True)
class FoundPackages:
    """The packages of a run, without their data, and the fingerprint of each, by id. Empty for rows."""

    packages: Packages = field(default_factory=Packages)
    fingerprints: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ProblemSource(ABC):
    """The problems of one run.

    Args:
        settings: of the pipeline.
        languages: those that some endpoint runs.
        store: of the run.
        say: is called about packages and rows that are left out or have changed.
        shard: the part of the rows or packages for this machine.

    Attributes:
        count: their number, without those that are known to be left out; None if the data does not tell.
        unit: their name, in the plural.
        streamed: whether most are not known when the run begins.
        known: all of them, without their data, if they have been read.
    """

    settings: PipelineSettings
    languages: Collection[str]
    store: Store
    say: "_FirstLines"
    shard: Shard
    count: int | None = field(default=None, init=False)
    known: tuple[Problem, ...] = field(default=(), init=False)
    unit = "problems"
    streamed = False

    @abstractmethod
    def problems(self) -> Iterator[tuple[Problem, bool]]:
        """Yield the problems, from the first one each time, and whether an earlier session has judged them.

        Record in the store that they were met.
        """

    def whole(self, problem: Problem) -> Problem:
        """Return a problem with its data. Raises PackageError if it has changed."""
        return problem


def find_packages(settings: PipelineSettings) -> FoundPackages:
    """Find the packages in `settings`. Returns none if it names rows, which must exist.

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
    shard: Shard,
) -> ProblemSource:
    """Return the problems in `settings`, after a check that the run may continue with them.

    Args:
        settings: of the pipeline.
        found: see `find_packages`.
        languages: those that some endpoint runs.
        store: of the run.
        say: is called about packages and rows that are left out or have changed.
        shard: the part of the rows or packages for this machine.

    Raises:
        ConfigError: there are no such rows, or the store holds a run with other problems.
    """
    given = settings, languages, store, _FirstLines(say), shard
    return _Rows(*given) if are_rows(settings.problems) else _PackageFolder(*given, found=found)


@dataclass
class _PackageFolder(ProblemSource):
    """Packages. The store has met all before the first one is judged."""

    found: FoundPackages = field(kw_only=True)

    def __post_init__(self) -> None:
        self._fingerprints = self.found.fingerprints
        packages = self.found.packages
        self._mine = [(place, problem) for place, problem in packages.problems if self.shard.takes(place)]
        self.known = tuple(problem for _, problem in self._mine)
        self.count = len(self.known)
        used = {each.program.language for problem in packages.read for each in problem.submissions}
        self.store.claim(
            {
                # A submission in a language that no endpoint runs is left out permanently.
                "languages on the endpoints": ", ".join(sorted(used & set(self.languages))),
                **_deciding(self.settings),
                **{f"problem {problem.id}": self._fingerprints[problem.id] for problem in self.known},
            }
        )
        self.store.describe({"kind": "packages", "problems": self.settings.problems})
        self.store.problems.leave_out_packages({package.name: package.why for package in packages.left_out})
        for package in packages.left_out:
            self.say("package is left out", f"package {package.name} is left out: {package.why}")

    def problems(self) -> Iterator[tuple[Problem, bool]]:
        table = self.store.problems
        seen = [
            table.meet(problem, table.place_of(problem.id, place), self._fingerprints[problem.id])
            for place, problem in self._mine
        ]
        return ((each, how is SeenBefore.DONE) for each, how in zip(self.known, seen, strict=True))

    def whole(self, problem: Problem) -> Problem:
        read = with_python(read_package(problem.path), self.settings.python)
        if fingerprint(read) != self._fingerprints[problem.id]:
            raise PackageError(f"{problem.path}: has changed since the run began; restore it, or use --fresh")
        return read


@dataclass
class _Rows(ProblemSource):
    """Rows, which are read with their data."""

    unit = "rows"
    streamed = True

    def __post_init__(self) -> None:
        place, wanted = self.settings.problems, self.settings.rows
        rows = self._read()
        first = next(rows, None)  # before the claim, because the data may not exist
        self._furthest = -1  # row that was left out and is not counted any more
        self._opened = rows if first is None else chain([first], rows)
        count = count_rows(place, wanted.split)
        self.count = None if count is None else number_of_rows(count, wanted, self.shard)
        self.store.claim(
            {
                "setting problems": place,
                **_deciding(self.settings),
                **{f"setting rows.{name}": str(getattr(wanted, name)) for name in sorted(_DECIDING_ROWS)},
            }
        )
        self.store.describe({"kind": "rows", "problems": place, "split": wanted.split})

    def problems(self) -> Iterator[tuple[Problem, bool]]:
        rows, self._opened = self._opened, self._read()
        table = self.store.problems
        for number, read in rows:
            if isinstance(read, BadRow):
                table.leave_out_row(number, read.why)
                self.say("row is left out", str(read))
                if self.count is not None and number > self._furthest:
                    self.count -= 1
                self._furthest = max(self._furthest, number)
                continue
            for note in read.notes:  # most rows have the same: they are said once, not in the notes of each
                self.say("columns are not used", f"columns of the rows are {note}")
            problem = replace(with_python(read, self.settings.python), id=table.id_of(number, read.id), notes=())
            seen = table.meet(problem, number, fingerprint(problem))
            if seen is SeenBefore.CHANGED:
                line = f"row {number} (from 0), {problem.id}, has changed since it was judged; it is judged again"
                self.say("row has changed", line)
            yield problem, seen is SeenBefore.DONE

    def _read(self) -> Iterator[tuple[int, Problem | BadRow]]:
        return read_rows(self.settings.problems, self.settings.rows, self.languages, share=self.shard)


class _FirstLines:
    """Prints the first lines of each kind, each once, and then that there are more."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._said: dict[str, list[str]] = {}

    def __call__(self, kind: str, line: str) -> None:
        said = self._said.setdefault(kind, [])
        if line in said or len(said) > _MOST_SAID:
            return
        if len(said) == _MOST_SAID:
            line = f"... and more of these ({kind}): they are counted, but not listed"
        said.append(line)
        self._say(line)


def _deciding(settings: PipelineSettings) -> dict[str, str]:
    """Return the settings that verdicts depend on; not endpoints, strategy or threads."""
    chosen = settings.model_dump(include=_DECIDING)
    return {f"setting {name}": str(value) for name, value in chosen.items()}


# -- languages -----------------------------------------------------------------------------------------


def languages_in(problems: Iterable[Problem], python: str) -> frozenset[str]:
    """Return the languages of all submissions, validators and checkers; those of rows if no problem is known yet."""
    used = {
        program.language
        for problem in problems
        for program in (
            *(submission.program for submission in problem.submissions),
            *problem.input_validators,
            *((problem.checker.program,) if problem.checker.program else ()),
            *(recipe.program for recipe in problem.recipes),
        )
    }
    return frozenset(used or {*LANGUAGES, python})


def with_python(problem: Problem, python: str) -> Problem:
    """Return `problem` with its Python submissions in the language `python`. Validators do not change."""
    if python == "python":
        return problem
    submissions = tuple(
        replace(each, program=replace(each.program, language=python)) if each.program.language == "python" else each
        for each in problem.submissions
    )
    return replace(problem, submissions=submissions)


def lines_on_missing(problems: Iterable[Problem], known: Collection[str]) -> Iterator[str]:
    """Yield a line for each language that no endpoint runs, with the submissions left out."""
    problems = tuple(problems)
    lost = Counter(s.program.language for p in problems for s in p.submissions if s.program.language not in known)
    for language, many in sorted(lost.items()):
        where = sum(any(s.program.language == language for s in p.submissions) for p in problems)
        yield f"{why_left_out(language)}: {count(many, 'submission')} of {count(where, 'problem')} left out"
