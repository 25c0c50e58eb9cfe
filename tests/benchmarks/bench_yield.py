"""How many of the wrong submissions that packages' own data kill, made-up inputs kill from the samples alone.

    python -m tests.benchmarks.bench_yield [--short] [FOLDER ...] [--budget-s 60] [--set max_inputs=50]

Each package is judged twice on this machine: on all its own data, and as a copy that has nothing but its samples. No
model is asked. What own data say is kept in the results folder and not found out again, unless the package changes or
--again is given. Packages that cannot be read are listed, and packages whose accepted submissions fail their own data
are reported apart.
"""

import argparse
import json
import shutil
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from balancer.errors import BalancerError, ConfigError
from balancer.judging.pending import RunStage
from balancer.pipeline.packages.read import read_problem
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import CaseResult, GeneratorYield, ProblemResult, SubmissionResult
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.running.run import RunOptions, run_pipeline
from balancer.plugins.registry import Registry, default_registry
from balancer.problem import Problem, Verdict
from balancer.reporting.progress import ProgressDisplay
from balancer.reporting.words import count, part_of, percent, seconds
from balancer.settings.config import parse_config
from tests.benchmarks.harness import ROOT, options
from tests.benchmarks.harness import table as table_of

FOLDERS = ("tests/problems", "examples/problems")
SHORT = ("dev/crate-product", "dev/two-piles", "held_out/milk-round")
AFTER_S = (5, 10, 20, 60)
_MARK = "problem.yaml"
_NOT_FOR_GENERATORS = ("generators", ".git")
_FOR_GENERATORS = ("sample", "testdata.yaml", "test_group.yaml")  # of data
_SLOW = ("time_limit_exceeded", "time_limit")
_BECAME_CASES = (CaseState.READY, CaseState.REPLACED)  # those without a kill make room in each later round


# -- packages ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Package:
    """A package, as it was read, or why it could not be."""

    label: str
    path: Path
    problem: Problem | None
    why_not: str = ""


def find(folders: Sequence[Path]) -> list[Package]:
    """Read all packages in these folders and the folders in them, by path; labels say where in the folder they lie."""
    found = []
    for folder in folders:
        inside: list[Path] = []
        for path in sorted(mark.parent for mark in folder.rglob(_MARK) if mark.is_file()):
            if not any(other in path.parents for other in inside):
                inside.append(path)
        found += [_read(path, _label(folder, path)) for path in inside]
    return found


def _label(folder: Path, path: Path) -> str:
    own = str(path.relative_to(folder))
    return folder.resolve().name if own == "." else f"{folder.resolve().name}/{own}"


def _read(path: Path, label: str) -> Package:
    try:
        problem = read_problem(path)
    except (BalancerError, OSError) as error:
        return Package(label, path, None, str(error).splitlines()[0].replace(f"{path}/", ""))
    if not problem.wrong:
        return Package(label, path, None, "no wrong submission that can be used")
    return Package(label, path, problem)


def copy_samples_only(source: Path, target: Path) -> None:
    """Copy a package without data but its samples, and without what made them; links become files."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        out = [name for name in names if not (Path(folder) / name).exists()]  # links to nowhere
        if Path(folder) == source:
            out += [name for name in names if name in _NOT_FOR_GENERATORS]
        if Path(folder) == source / "data":
            out += [name for name in names if name not in _FOR_GENERATORS]
        return out

    shutil.copytree(source, target, ignore=left_out)


# -- what a run says --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Own:
    """What a package's own data says.

    Attributes:
        wrong: names of the wrong submissions that count.
        by_samples, by_all: names of those that data/sample kills, and that all own data kills.
        failing: accepted submission -> why it fails the package's own data.
    """

    wrong: tuple[str, ...]
    by_samples: frozenset[str]
    by_all: frozenset[str]
    failing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kill:
    """The first case, by number, that kills a wrong submission: who proposed it, and when its verdict was there."""

    submission: str
    generator: str
    after_s: float


@dataclass(frozen=True, slots=True)
class MadeUp:
    """What made-up inputs say, where the package has its samples only.

    Attributes:
        kills: of every wrong submission that is killed, by the samples as well.
        survivors: submission that own data kills -> why made-up inputs do not, as far as that can be told.
        accepted, kept: accepted submissions that were judged, and those that no case kills.
        cases: made-up inputs that became a case, also if a later round replaced it; `refused`: inputs that a validator
            refused.
        contested, unjudged: inputs; verdicts.
        seconds, spent_s: of the run; of it on made-up inputs.
        kept_by, cpu_s: generator -> its cases that kill somebody; CPU of what it ran, and of runs on its inputs.
    """

    kills: tuple[Kill, ...]
    survivors: Mapping[str, str]
    accepted: int
    kept: int
    cases: int
    refused: int
    contested: int
    unjudged: int
    seconds: float
    spent_s: float = 0.0
    kept_by: Mapping[str, int] = field(default_factory=dict)
    cpu_s: Mapping[str, float] = field(default_factory=dict)


Found = Mapping[str, tuple[Own, MadeUp]]
"""Label of a package -> what was found."""


@dataclass(frozen=True, slots=True)
class Sum:
    """The figures of a table's row, of one package or of many; `hit`: killed by own data and by made-up inputs."""

    wrong: int = 0
    by_samples: int = 0
    by_own: int = 0
    by_made_up: int = 0
    hit: int = 0
    accepted: int = 0
    kept: int = 0
    cases: int = 0
    refused: int = 0
    contested: int = 0
    unjudged: int = 0
    seconds: float = 0.0
    spent_s: float = 0.0


def look_at_own(result: ProblemResult) -> Own:
    """Return what a run on all own data says."""
    samples = [case for case in result.before if case.origin.detail.startswith("sample/")]
    failing = {s.name: _verdict(s, result.ready) for s in result.rejected}
    details = {case.id: case.origin.detail for case in result.cases}
    for each in result.disagreements:
        if each.verdict.kills:
            failing[each.submission] = f"{each.verdict.value} on {details[each.case]}"
    return Own(
        wrong=tuple(s.name for s in result.wrong),
        by_samples=frozenset(s.name for s in result.wrong if s.killed_by(samples)),
        by_all=frozenset(s.name for s in result.killed_before),
        failing=failing,
    )


def _verdict(submission: SubmissionResult, cases: Iterable[CaseResult]) -> str:
    case = next(case for case in cases if submission.verdicts.get(case.id, Verdict.ACCEPTED).kills)
    return f"{submission.verdicts[case.id].value} on {case.origin.detail}"


def look_at_made_up(
    result: ProblemResult,
    own: Own,
    ended: Mapping[tuple[str, int], float],
    limit_s: float | None,
    seconds: float,
    brought: Iterable[GeneratorYield] = (),
) -> MadeUp:
    """Return what a run on made-up inputs says.

    Args:
        result, brought: of the run, whose own data were the samples.
        ended: when a submission had run on a case.
        own: what all own data of the package say.
        limit_s: seconds that a run may take, if the package says so.
        seconds: how long it took.
    """
    cases = {case.id: case for case in result.ready}
    made = [case for case in result.cases if not case.sample and case.state in _BECAME_CASES]
    kills = []
    for submission in result.wrong:
        killing = submission.killed_by(result.ready)
        if killing:
            first = cases[min(killing)]
            after_s = min((ended[submission.name, id] for id in killing if (submission.name, id) in ended), default=0.0)
            kills.append(Kill(submission.name, "samples" if first.sample else first.origin.generator, after_s))
    killed = {kill.submission for kill in kills}
    left = [s for s in result.wrong if s.name in own.by_all - killed]
    return MadeUp(
        kills=tuple(kills),
        survivors={s.name: _reason(s, result, made, limit_s) for s in left},
        accepted=len(result.accepted_judged),
        kept=len(result.kept),
        cases=len(made),
        refused=result.invalid,
        contested=sum(case.state is CaseState.CONTESTED for case in result.cases),
        unjudged=result.unjudged,
        seconds=seconds,
        spent_s=result.spent_s,
        kept_by=dict(Counter(case.origin.generator for case in result.killers if not case.sample)),
        cpu_s={each.generator: each.cpu_s for each in brought},
    )


def _reason(s: SubmissionResult, result: ProblemResult, made: list[CaseResult], limit_s: float | None) -> str:
    if not made:
        contested = sum(case.state is CaseState.CONTESTED for case in result.cases)
        return f"no made-up input became a case: {result.invalid} refused, {contested} contested"
    if not s.judged_on(result.ready):
        words = ", ".join(result.reasons) or "no reason given"
        return f"not judged on every case: {words}"
    if s.expected in _SLOW:
        slowest_s = max((s.times_s.get(case.id, 0.0) for case in made), default=0.0)
        share = f"{slowest_s / limit_s:.2f} of the limit" if limit_s else f"{slowest_s:.2f} s"
        return f"expected time_limit: its slowest run took {share}, in {len(made)} cases"
    return f"never differed in {len(made)} cases"


def sum_of(found: Iterable[tuple[Own, MadeUp]]) -> Sum:
    """Return the figures of several packages together."""
    total: Counter[str] = Counter()
    same = [each.name for each in fields(Sum) if each.name in {of.name for of in fields(MadeUp)}]
    for own, made in found:
        killed = {kill.submission for kill in made.kills}
        total.update({"wrong": len(own.wrong), "by_samples": len(own.by_samples), "by_own": len(own.by_all)})
        total.update({"by_made_up": len(killed), "hit": len(killed & own.by_all)})
        total.update({name: getattr(made, name) for name in same})
    return Sum(**total)


# -- runs -------------------------------------------------------------------------------------------


class Bench:
    """Judges packages one after the other, and keeps what was found.

    Args:
        asked: the command line.
        settings: of `[pipeline]`, for made-up inputs; limits of time hold for own data as well.
    """

    def __init__(self, asked: argparse.Namespace, settings: Mapping[str, Any], console: Console) -> None:
        self._asked = asked
        self._settings = settings
        self._console = console
        self._registry: Registry = default_registry()
        self.unread: dict[str, str] = {}
        self.found: dict[str, tuple[Own, MadeUp]] = {}

    def run(self, packages: Sequence[Package]) -> None:
        """Judge all packages."""
        self.unread.update((each.label, each.why_not) for each in packages if each.problem is None)
        usable = [each for each in packages if each.problem is not None]
        with ProgressDisplay(self._console, unit="runs") as progress:
            for done, package in enumerate(usable):
                try:
                    progress.show(done * 2, len(usable) * 2, title=f"{package.label}, own data")
                    own = self._own(package)
                    progress.show(done * 2 + 1, len(usable) * 2, title=f"{package.label}, made-up inputs")
                    made = self._made_up(package, own)
                except BalancerError as error:
                    self.unread[package.label] = str(error).splitlines()[0]
                    progress.say(f"{package.label}: {self.unread[package.label]}")
                    continue
                self.found[package.label] = own, made
                each = sum_of([(own, made)])
                progress.say(
                    f"{package.label}: made-up inputs kill {each.hit} of {each.by_own} in {each.seconds:.0f} s"
                )
                if self._asked.json:
                    write_json(self.found, self.unread, self._asked.json)

    def _own(self, package: Package) -> Own:
        """Judge a package on its own data alone; a run that is kept and still holds is not made again."""
        folder = self._asked.results / "own" / package.label.replace("/", "+")
        limits = {name: value for name, value in self._settings.items() if name.startswith("time_limit")}
        settings = {"problems": str(package.path), "generators": ["data"], "max_inputs": 0, "max_rounds": 1, **limits}
        try:
            result, _ = self._run(settings, folder, fresh=self._asked.again)
        except ConfigError:  # the package has changed
            result, _ = self._run(settings, folder, fresh=True)
        return look_at_own(result.problems[0])

    def _made_up(self, package: Package, own: Own) -> MadeUp:
        """Judge a copy of a package that has no data but its samples, on made-up inputs."""
        with TemporaryDirectory(prefix="balancer-yield-") as temporary:
            copy = Path(temporary) / "problem" / package.path.name
            copy_samples_only(package.path, copy)
            settings = {**self._settings, "problems": str(copy)}
            result, took_s = self._run(settings, Path(temporary) / "results", fresh=True)
            with Store(Path(temporary) / "results") as store:
                sql = "SELECT subject, case_id, ended_s FROM spans WHERE stage = ? ORDER BY ended_s"
                rows = store.log.rows(sql, RunStage.VALIDATE_SOLUTION.value)
                ended = {(name, case): ended_s for name, case, ended_s in rows}
        limit_s = package.problem.time_limit_s if package.problem else None
        factor = float(self._settings.get("time_limit_factor", 1.0))
        return look_at_made_up(result.problems[0], own, ended, limit_s and limit_s * factor, took_s, result.brought)

    def _run(self, settings: Mapping[str, Any], results: Path, *, fresh: bool) -> tuple[RunResult, float]:
        """Run one package on this machine; returns what came of it, and how long it took."""
        began_s = time.monotonic()
        raw = {"pool": {"strategy": "least_in_flight"}, "pipeline": {**settings, "results": str(results)}}
        config = parse_config(raw, file="bench", environ={})
        result = run_pipeline(config, self._registry, Console(file=StringIO()), RunOptions(fresh=fresh))
        if result.stopped_by:
            raise KeyboardInterrupt
        if not result.problems:
            raise BalancerError("; ".join([*result.reasons, "nothing was judged"]))
        return result, time.monotonic() - began_s


# -- tables -----------------------------------------------------------------------------------------


def table(found: Found, title: str) -> Table:
    """Return a row for each package, and the sum."""
    rows = [_cells(label, sum_of([each])) for label, each in found.items()]
    total = _cells(count(len(rows), "package"), sum_of(found.values()))
    head = "package | wrong | samples | own data | made up | of own data |  | accepted kept | cases"
    return table_of(f"{head} | refused | contested | unjudged | of budget | time", [*rows, total], title)


def _cells(label: str, each: Sum) -> Sequence[object]:
    hit = part_of(each.hit, each.by_own), percent(each.hit, each.by_own)
    ends = each.cases, each.refused, each.contested, each.unjudged
    kept = part_of(each.kept, each.accepted)
    times = f"{each.spent_s:.1f} s", seconds(each.seconds)
    return label, each.wrong, each.by_samples, each.by_own, each.by_made_up, *hit, kept, *ends, *times


def generators(found: Found) -> Table:
    """Return what each generator brought: how often its case kills a submission first, and its cases that kill."""
    first = Counter(kill.generator for _, made in found.values() for kill in made.kills)
    kept, cpu_s = Counter[str](), Counter[str]()
    for _, made in found.values():
        kept.update(made.kept_by)
        cpu_s.update(made.cpu_s)  # type: ignore[arg-type]  # seconds, not whole
    rows = [
        (
            name,
            first[name],
            kept[name] or "",
            f"{cpu_s[name]:.0f}",
            f"{100 * first[name] / cpu_s[name]:.1f}" if cpu_s[name] else "",
        )
        for name in sorted({*first, *kept, *cpu_s}, key=lambda name: -first[name])
    ]
    head = "generator | first to kill | cases that kill | CPU, s | first kills in 100 s of CPU"
    return table_of(head, rows, "What each generator brought")


def show(bench: Bench, console: Console) -> None:
    """Print what was found."""
    sound = {label: each for label, each in bench.found.items() if not each[0].failing}
    apart = {label: each for label, each in bench.found.items() if each[0].failing}
    console.print(table(sound, "Made-up inputs from samples alone, beside the packages' own data"))
    if apart:
        console.print(table(apart, "The same, where an accepted submission fails the package's own data"))
        failing = [(label, *each) for label, (own, _) in apart.items() for each in own.failing.items()]
        head = "package | accepted submission | on its own data"
        console.print(table_of(head, failing, "Fail their package's own data", words=3))
    hits = [kill.after_s for own, made in bench.found.values() for kill in made.kills if kill.submission in own.by_all]
    row = [sum(each <= after_s for each in hits) for after_s in AFTER_S]
    console.print(table_of(" | ".join(f"{each} s" for each in AFTER_S), [row], "Killed in so many seconds", words=0))
    console.print(generators(bench.found))
    left = [(label, *each) for label, (_, made) in bench.found.items() for each in made.survivors.items()]
    console.print(table_of("package | submission | why", left, "Killed by own data, not by made-up inputs", words=3))
    for label, why in bench.unread.items():
        console.print(f"not judged: {label}: {why}", markup=False, highlight=False)


def write_json(found: Found, unread: Mapping[str, str], file: Path) -> None:
    """Write all that was found."""
    known = {
        label: {"own": {**asdict(own), "by_samples": sorted(own.by_samples), "by_all": sorted(own.by_all)}}
        | {"made_up": asdict(made)}
        for label, (own, made) in found.items()
    }
    every = {"sum": asdict(sum_of(found.values())), "packages": known, "unread": dict(unread)}
    file.write_text(json.dumps(every, indent=1) + "\n")


def settings_of(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of `[pipeline]` for made-up inputs."""
    settings: dict[str, Any] = {"max_inputs": 10} if asked.short else {}
    for each in asked.set:
        settings.update(tomllib.loads(each))
    if asked.budget_s is not None:
        settings["budget_s"] = asked.budget_s
    return settings


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        f"{len(SHORT)} packages and few inputs, some two minutes",
        folders_=([Path], f"of packages; {' and '.join(FOLDERS)} if none is given"),
        only=([str], "packages whose name has this in it"),
        budget_s=(float, "seconds of made-up inputs for each package"),
        set=([str], "KEY=VALUE: any other setting of [pipeline], as in TOML"),
        results=(ROOT / "results/yield", "where what own data say is kept"),
        again=(False, "find out again what own data say"),
        json=(Path, "write all that was found, after each package"),
    )
    packages = find(asked.folders or [ROOT / folder for folder in FOLDERS])
    words = [*asked.only, *(SHORT if asked.short and not asked.folders else ())]
    console = Console(width=None if sys.stdout.isatty() else 200)
    bench = Bench(asked, settings_of(asked), console)
    try:
        bench.run([each for each in packages if not words or any(word in each.label for word in words)])
    except KeyboardInterrupt:
        console.print("stopped: what was found so far")
    show(bench, console)


if __name__ == "__main__":
    main()
