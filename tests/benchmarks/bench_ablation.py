"""What each rule, way and file of the generators adds to the kills: alone, last, and left out.

    python -m tests.benchmarks.bench_ablation [--short] [--seeds 1,2] [--only WORD] [--markdown FILE]

Each package has its samples only, and no model is asked. Inputs of every way are made, tagged with what had a part in
them, and judged on every wrong submission, none of which is taken away once it is killed. Then it is a matter of sets:
what a tag kills alone, and what only its inputs kill. What shapes all inputs, such as the bounds of a statement, is
switched off instead, and inputs are proposed anew: small ones are judged, of large ones it counts how many are valid.
Findings and verdicts are kept in --results, so that what was measured once is not measured again.
"""

import argparse
import os
import pickle
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from balancer.errors import BalancerError
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.packages.read import read_problem
from balancer.problem import Problem
from tests.benchmarks.ablation_inputs import SWITCHES, Amounts, Tagged, inputs_of, proposed, switched
from tests.benchmarks.ablation_runs import LARGE, Judge, PackageJudge, SmallJudge, open_cache
from tests.benchmarks.yield_runs import copy_samples_only, find

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests/problems", "examples/problems")
SHORT = ("dev/crate-product", "problems/undo-log")
_FEW = Amounts(proposed=10, again=4, small=8, every=6, climb_s=0.3, climbed=1, large=2)
_SWITCHED = Amounts(proposed=20, again=8, large=2)
_KINDS = ("part", "stream", "small", "way", "step", "extent", "file", "function")
_LEAST = 0.005  # of all kills: what brings less goes

Pair = tuple[str, str]  # package, wrong submission


@dataclass
class Brought:
    """What the inputs with one tag bring, of one seed or several: numbers of inputs, of pairs killed alone and last."""

    inputs: int = 0
    valid: int = 0
    alone: int = 0
    last: int = 0


@dataclass
class Left:
    """What is left once something is switched off, beside what there was: in the packages that it matters to."""

    packages: list[str] = field(default_factory=list)
    kills: int = 0
    before: int = 0
    valid: int = 0
    valid_before: int = 0


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--short", action="store_true", help=f"{len(SHORT)} packages and few inputs, less than a minute")
    add("--seeds", default="1", help="with commas between")
    add("--only", metavar="WORD", action="append", default=[], help="packages whose name has this in it")
    add("--results", type=Path, default=Path("/tmp/balancer-ablation"), help="where findings and verdicts are kept")
    add("--no-switches", action="store_true", help="tags only")
    add("--markdown", type=Path, help="write the tables there as well")
    return parser.parse_args(arguments)


def problems(words: Sequence[str]) -> Iterator[tuple[str, Problem]]:
    """Yield the packages, with nothing but their samples."""
    for package in find([ROOT / folder for folder in FOLDERS]):
        if package.problem is None or (words and not any(word in package.label for word in words)):
            continue
        with TemporaryDirectory(prefix="balancer-ablation-") as folder:
            copy = Path(folder) / package.path.name
            copy_samples_only(package.path, copy)
            yield package.label, read_problem(copy)


def measured(label: str, judge: PackageJudge, seed: int, amounts: Amounts, kept: Path) -> list[Tagged]:
    """Return what inputs of every way do, as it was found before if it was."""
    file = kept / f"{label.replace('/', '+')}.{seed}.tags"
    if not file.exists():
        file.write_bytes(pickle.dumps(list(inputs_of(judge.problem, judge, seed, amounts))))
    found: list[Tagged] = pickle.loads(file.read_bytes())
    return found


def without_each(label: str, judge: PackageJudge, seed: int, amounts: Amounts, kept: Path) -> dict[str, list[Tagged]]:
    """Return what `mutate` proposes as it is (""), and without each thing that makes a difference to it."""
    file = kept / f"{label.replace('/', '+')}.{seed}.switches"
    if not file.exists():
        found = {"": [tagged for _, tagged in proposed(judge.problem, judge, seed, amounts)]}
        before = _glance(judge.problem, seed)
        for name in SWITCHES:
            with switched(name):
                if name == "learn/refusals" or _glance(judge.problem, seed) != before:
                    found[name] = [tagged for _, tagged in proposed(judge.problem, judge, seed, amounts)]
        file.write_bytes(pickle.dumps(found))
    kept_: dict[str, list[Tagged]] = pickle.loads(file.read_bytes())
    return kept_


def _glance(problem: Problem, seed: int) -> list[bytes]:
    return [each.data for each in MutateGenerator().propose(problem, random.Random(seed), 16)]


def tags_of(tagged: Tagged) -> Iterable[str]:
    """Return the tags of an input; the files whose functions ran are among them."""
    files = {f"file {tag.removeprefix('function ').partition(':')[0]}" for tag in tagged.tags if tag[:9] == "function "}
    return tagged.tags | files


def brought(found: Mapping[Pair, Sequence[Tagged]]) -> dict[str, Brought]:
    """Return what each tag brings, for (package, seed) -> inputs."""
    total: dict[str, Brought] = defaultdict(Brought)
    for inputs in found.values():
        killed: dict[str, set[str]] = defaultdict(set)
        every: dict[str, list[frozenset[str]]] = defaultdict(list)  # wrong submission -> tags that all its killers have
        for each in inputs:
            tags = frozenset(tags_of(each))
            for tag in tags:
                total[tag].inputs += 1
                total[tag].valid += not each.why
                killed[tag] |= each.kills
            for name in each.kills:
                every[name].append(tags)
        for tag, names in killed.items():
            total[tag].alone += len(names)
        for killers in every.values():
            for tag in frozenset.intersection(*killers):
                total[tag].last += 1
    return dict(total)


def left(found: Mapping[Pair, Mapping[str, Sequence[Tagged]]]) -> dict[str, Left]:
    """Return what is left without each thing."""
    total: dict[str, Left] = defaultdict(Left)
    for (label, _), by_switch in found.items():
        before = by_switch[""]
        for name, inputs in by_switch.items():
            if name:
                one = total[name]
                one.packages.append(label)
                one.kills += len(_killed(inputs) - {LARGE})
                one.before += len(_killed(before) - {LARGE})
                one.valid += sum(not each.why for each in inputs)
                one.valid_before += sum(not each.why for each in before)
    return dict(total)


def _killed(inputs: Iterable[Tagged]) -> set[str]:
    return set().union(*(each.kills for each in inputs))


def tables(found: Mapping[Pair, Sequence[Tagged]], switches: Mapping[Pair, Mapping[str, Sequence[Tagged]]]) -> str:
    """Return all tables, in Markdown."""
    kills = sum(len(_killed(inputs)) for inputs in found.values())
    lines = [f"{kills} kills over {len(found)} packages and seeds; what has * is below {_LEAST:.1%} alone and last."]
    by_tag = brought(found)
    for kind in _KINDS:
        rows = sorted(((tag, each) for tag, each in by_tag.items() if tag.startswith(f"{kind} ")), key=_order)
        lines += ["", f"| {kind} | inputs | valid | kills alone | kills last |", "|---|---|---|---|---|"]
        for tag, each in rows:
            mark = " *" if max(each.alone, each.last) < _LEAST * kills else ""
            lines.append(
                f"| {tag.partition(' ')[2]}{mark} | {each.inputs} | {each.valid} | {each.alone} | {each.last} |"
            )
    base = sum(len(_killed(by[""]) - {LARGE}) for by in switches.values())
    lines += ["", f"Switched off, of {base} kills of small inputs that `mutate` proposes:", ""]
    lines += ["| without | packages that it matters to | kills lost | valid inputs lost |", "|---|---|---|---|"]
    without = left(switches)
    for name in SWITCHES:
        one = without.get(name, Left())
        mark = " *" if one.before - one.kills < _LEAST * base else ""
        packages = len(set(one.packages))
        lost = one.valid_before - one.valid
        lines.append(f"| {name}{mark} | {packages} | {one.before - one.kills} of {one.before} | {lost} |")
    return "\n".join(lines) + "\n"


def _order(row: tuple[str, Brought]) -> tuple[int, int, str]:
    return -row[1].last, -row[1].alone, row[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    chosen = options(arguments)
    kept: Path = chosen.results / ("short" if chosen.short else "full")
    kept.mkdir(parents=True, exist_ok=True)
    judge, cache = Judge(chosen.results), open_cache(chosen.results / "verdicts.sqlite")
    found: dict[Pair, list[Tagged]] = {}
    switches: dict[Pair, dict[str, list[Tagged]]] = {}
    for seed in map(int, chosen.seeds.split(",")):
        for label, problem in problems(chosen.only or (SHORT if chosen.short else ())):
            own = PackageJudge(judge, problem, cache)
            try:
                found[label, str(seed)] = measured(label, own, seed, _FEW if chosen.short else Amounts(), kept)
                if not chosen.no_switches:
                    small = SmallJudge(judge, problem, cache)
                    amounts = _FEW if chosen.short else _SWITCHED
                    switches[label, str(seed)] = without_each(label, small, seed, amounts, kept)
            except BalancerError as error:
                print(f"{label}: {error}", file=sys.stderr)
                continue
            missing = sorted({each.name for each in problem.wrong} - _killed(found[label, str(seed)]))
            print(f"seed {seed}, {label}: survive {', '.join(missing) or 'none'}", file=sys.stderr, flush=True)
    text = tables(found, switches)
    print(text)
    if chosen.markdown:
        chosen.markdown.write_text(text)
    return 0


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
