"""Read every package in a folder, at any depth, and judge those that can be read on all of their own data.

    python tests/benchmarks/read_archive.py FOLDER [--results DIR] [--only NAME ...] [--read-only] [--capacity N]

Prints a line for each package (read, or left out with the reason), then what became of each that was run, and a table
of the folder a submission came from against the verdict that it got: the worst of all its cases. Programs run on this
machine. Nothing is made up: the generators are `data` and `package`, and `max_inputs` is 0.
"""

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from balancer.errors import BalancerError
from balancer.pipeline.packages.read import read_packages
from balancer.pipeline.results.store import Store
from balancer.pipeline.running.run import run_pipeline
from balancer.plugins.registry import default_registry
from balancer.problem import Problem, Submission, Verdict
from balancer.settings.config import load_config

_CONFIG = """
[[endpoints]]
url = "local://here"
capacity = {capacity}
[pipeline]
problems = {problems!r}
results = {results!r}
generators = ["data", "package"]
max_inputs = 0
max_proposals = 0
max_rounds = 1
sample_level_workers = 1
"""

# From best to worst: what a submission is said to have got is the worst of its cases.
_ORDER = (
    Verdict.ACCEPTED,
    Verdict.UNJUDGED,
    Verdict.WRONG_ANSWER,
    Verdict.RUN_TIME_ERROR,
    Verdict.TIME_LIMIT,
    Verdict.COMPILE_ERROR,
)
_NO_LANGUAGE = "no language"
_NOTHING = "no case"


@dataclass(slots=True)
class Found:
    """What became of all packages.

    Attributes:
        table: (expected, obtained) -> how many submissions.
        odd: lines on submissions that did not get what their folder says.
    """

    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)


def packages_in(root: Path) -> list[Path]:
    """List all folders with a problem.yaml, at any depth."""
    return sorted(file.parent for file in root.rglob("problem.yaml"))


def obtained(store: Store, problem: Problem, submission: Submission) -> str:
    """Return the worst verdict of a submission on the problem's own data, in a word."""
    cases = {case.id for case in store.cases(problem.id) if case.sample}
    verdicts = [
        stored.verdict
        for (name, case), stored in store.verdicts(problem.id).items()
        if name == submission.name and case in cases
    ]
    if verdicts:
        return max(verdicts, key=_ORDER.index).value
    why = store.left_out(problem.id).get(submission.name, "")
    if why.startswith("no endpoint runs"):
        return _NO_LANGUAGE
    return Verdict.COMPILE_ERROR.value if why.startswith("does not compile") else _NOTHING


def judge(package: Path, results: Path, capacity: int) -> None:
    """Run the pipeline on one package."""
    config = results.parent / f"{results.name}.toml"
    config.write_text(_CONFIG.format(capacity=capacity, problems=str(package), results=str(results)))
    run_pipeline(load_config(config), default_registry(), Console(quiet=True))


def told(problem: Problem, results: Path, found: Found) -> Iterator[str]:
    """Yield what is to be said of a problem that was run, and count its submissions."""
    with Store(results) as store:
        states = Counter(case.state.value for case in store.cases(problem.id))
        cases = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        per_kind: dict[bool, Counter[str]] = defaultdict(Counter)
        for submission in problem.submissions:
            got = obtained(store, problem, submission)
            per_kind[submission.accepted][got] += 1
            found.table[submission.expected, got] += 1
            right = got == Verdict.ACCEPTED.value
            if got != _NO_LANGUAGE and right is not submission.accepted:
                why = store.left_out(problem.id).get(submission.name, "")
                found.odd.append(f"{problem.id}/{submission.name}: {got}{f' ({why[:150]})' if why else ''}")
        for accepted, word in ((True, "accepted"), (False, "wrong")):
            got_all = ", ".join(f"{count} {got}" for got, count in sorted(per_kind[accepted].items()))
            yield f"    {word:<9} {sum(per_kind[accepted].values()):>3}: {got_all}"
        yield f"    cases        : {cases or 'none'}"
        for line in (*store.judges.troubles(problem.id), *store.rounds.notes(problem.id)):
            yield f"    {line[:200]}"


def table_lines(table: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield the table of expected against obtained."""
    columns = [*(verdict.value for verdict in _ORDER), _NO_LANGUAGE, _NOTHING]
    columns = [column for column in columns if any(got == column for _, got in table)]
    yield f"{'expected':<24}" + "".join(f"{column:>16}" for column in columns)
    for expected in sorted({expected for expected, _ in table}):
        yield f"{expected:<24}" + "".join(f"{table[expected, column]:>16}" for column in columns)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=Path, help="keep results here, and go on with those that are there")
    parser.add_argument("--only", nargs="*", default=[], help="only packages whose path has one of these in it")
    parser.add_argument("--read-only", action="store_true", help="read, and run nothing")
    parser.add_argument("--capacity", type=int, default=2, help="programs at once")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="read-archive-") as temporary:
        results = chosen.results or Path(temporary)
        results.mkdir(parents=True, exist_ok=True)
        report(packages_in(chosen.folder), chosen, results)


def report(packages: Iterable[Path], chosen: argparse.Namespace, results: Path) -> None:
    """Print a line for each package, and the table."""
    found, counts = Found(), Counter[str]()
    for package in packages:
        name = str(package.relative_to(chosen.folder))
        if chosen.only and not any(part in name for part in chosen.only):
            continue
        try:
            (problem,) = read_packages(package).read
        except BalancerError as error:
            counts["left out"] += 1
            print(f"OUT  {name}: {'; '.join(str(error).replace(f'{package}/', '').splitlines())[:200]}", flush=True)
            continue
        counts["read"] += 1
        print(f"READ {name}: {len(problem.accepted)} accepted, {len(problem.wrong)} wrong", flush=True)
        if chosen.read_only:
            continue
        began = time.monotonic()
        place = results / name.replace("/", "_")
        judge(package, place, chosen.capacity)
        for line in told(problem, place, found):
            print(line)
        print(f"    seconds      : {time.monotonic() - began:.0f}", flush=True)
    print(f"\n{counts['read']} read, {counts['left out']} left out")
    if found.table:
        print("\n".join(("", *table_lines(found.table), "", "not as its folder says:", *found.odd)))


if __name__ == "__main__":
    main()
