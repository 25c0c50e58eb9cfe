"""What each rule, way and file of the generators adds to the kills: alone, last, and left out.

    python -m tests.benchmarks.bench_ablation [--short] [--seeds 1,2] [--only WORD] [--markdown FILE]

Each package has its samples only, and no model is asked. Inputs of every way are made, tagged with what had a part in
them, and judged on every wrong submission, none of which is taken away once it is killed. Then it is a matter of sets:
what a tag kills alone, and what only its inputs kill. What shapes all inputs, such as the bounds of a statement, is
switched off instead, and inputs are proposed anew: small ones are judged, of large ones it counts how many are valid.
Findings and verdicts are kept in --results, so that what was measured once is not measured again.
"""

import os
import pickle
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from balancer.errors import BalancerError
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.packages.read import read_problem
from balancer.problem import Problem
from tests.benchmarks.ablation_inputs import SWITCHES, Amounts, Tagged, inputs_of, proposed, switched
from tests.benchmarks.ablation_runs import LARGE, Judge, PackageJudge, SmallJudge, open_cache
from tests.benchmarks.harness import ROOT, Row, markdown, options
from tests.benchmarks.yield_runs import copy_samples_only, find

FOLDERS = ("tests/problems", "examples/problems")
SHORT = ("dev/crate-product", "problems/undo-log")
_FEW = Amounts(proposed=10, again=4, small=8, climb_s=0.3, climbed=1, large=2)
_SWITCHED = Amounts(proposed=20, again=8, large=2)
_KINDS = ("part", "stream", "small", "way", "step", "file", "function")
_LEAST = 0.005  # of all kills: what brings less goes

Found = TypeVar("Found")
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


def problems(words: Sequence[str]) -> Iterator[tuple[str, Problem]]:
    """Yield the packages, with nothing but their samples."""
    for package in find([ROOT / folder for folder in FOLDERS]):
        if package.problem is None or (words and not any(word in package.label for word in words)):
            continue
        with TemporaryDirectory(prefix="balancer-ablation-") as folder:
            copy = Path(folder) / package.path.name
            copy_samples_only(package.path, copy)
            yield package.label, read_problem(copy)


def kept(file: Path, find: Callable[[], Found]) -> Found:
    """Return what was found before, or else find it and keep it."""
    if not file.exists():
        file.write_bytes(pickle.dumps(find()))
    found: Found = pickle.loads(file.read_bytes())
    return found


def every_way(judge: PackageJudge, seed: int, amounts: Amounts) -> list[Tagged]:
    """Return what inputs of every way do."""
    return list(inputs_of(judge.problem, judge, seed, amounts))


def without_each(judge: PackageJudge, seed: int, amounts: Amounts) -> dict[str, list[Tagged]]:
    """Return what `mutate` proposes as it is (""), and without each thing that makes a difference to it."""
    found = {"": [tagged for _, tagged in proposed(judge.problem, judge, seed, amounts)]}
    before = _glance(judge.problem, seed)
    for name in SWITCHES:
        with switched(name):
            if name == "learn/refusals" or _glance(judge.problem, seed) != before:
                found[name] = [tagged for _, tagged in proposed(judge.problem, judge, seed, amounts)]
    return found


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
    base = sum(len(_killed(by[""]) - {LARGE}) for by in switches.values())
    by_tag, without = brought(found), left(switches)

    def row_of(tag: str, each: Brought) -> Row:
        mark = " *" if max(each.alone, each.last) < _LEAST * kills else ""
        return f"{tag.partition(' ')[2]}{mark}", each.inputs, each.valid, each.alone, each.last

    def row_without(name: str) -> Row:
        one = without.get(name, Left())
        lost = one.before - one.kills
        mark = " *" if lost < _LEAST * base else ""
        return f"{name}{mark}", len(set(one.packages)), f"{lost} of {one.before}", one.valid_before - one.valid

    lines = [
        f"{kills} kills over {len(found)} packages and seeds; what has * is below {_LEAST:.1%} alone and last.",
        "",
    ]
    for kind in _KINDS:
        of_kind = ((tag, each) for tag, each in by_tag.items() if tag.startswith(f"{kind} "))
        rows = [row_of(*each) for each in sorted(of_kind, key=lambda row: (-row[1].last, -row[1].alone, row[0]))]
        lines += [*markdown(f"{kind} | inputs | valid | kills alone | kills last", rows), ""]
    lines += [f"Switched off, of {base} kills of small inputs that `mutate` proposes:", ""]
    head = "without | packages that it matters to | kills lost | valid inputs lost"
    return "\n".join([*lines, *markdown(head, map(row_without, SWITCHES))]) + "\n"


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        f"{len(SHORT)} packages and few inputs, less than a minute",
        seeds=("1", "with commas between"),
        only=([str], "packages whose name has this in it"),
        results=(Path("/tmp/balancer-ablation"), "where findings and verdicts are kept"),
        no_switches=(False, "tags only"),
        markdown=(Path, "write the tables there as well"),
    )
    folder: Path = asked.results / ("short" if asked.short else "full")
    folder.mkdir(parents=True, exist_ok=True)
    judge, cache = Judge(asked.results), open_cache(asked.results / "verdicts.sqlite")
    found: dict[Pair, list[Tagged]] = {}
    switches: dict[Pair, dict[str, list[Tagged]]] = {}
    amounts, switched_off = (_FEW, _FEW) if asked.short else (Amounts(), _SWITCHED)
    for seed in map(int, asked.seeds.split(",")):
        for label, problem in problems(asked.only or (SHORT if asked.short else ())):
            own, small = (kind(judge, problem, cache) for kind in (PackageJudge, SmallJudge))
            file, key = folder / f"{label.replace('/', '+')}.{seed}", (label, str(seed))
            try:
                found[key] = kept(Path(f"{file}.tags"), partial(every_way, own, seed, amounts))
                if not asked.no_switches:
                    switches[key] = kept(Path(f"{file}.switches"), partial(without_each, small, seed, switched_off))
            except BalancerError as error:
                print(f"{label}: {error}", file=sys.stderr)
                continue
            missing = sorted({each.name for each in problem.wrong} - _killed(found[key]))
            print(f"seed {seed}, {label}: survive {', '.join(missing) or 'none'}", file=sys.stderr, flush=True)
    text = tables(found, switches)
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text)


if __name__ == "__main__":
    os.nice(5)
    main()
