"""How many of the wrong submissions that packages' own data kill, made-up inputs kill from the samples alone.

    python -m tests.benchmarks.bench_yield [--short] [FOLDER ...] [--budget-s 60] [--set max_inputs=50]

Each package is judged twice on this machine: on all its own data, and as a copy that has nothing but its samples. No
model is asked. What own data say is kept in the results folder and not found out again, unless the package changes or
--again is given. Packages that cannot be read are listed, and packages whose accepted submissions fail their own data
are reported apart.
"""

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from balancer.errors import BalancerError
from balancer.plugins.registry import Registry, default_registry
from balancer.reporting.progress import ProgressDisplay
from tests.benchmarks.harness import ROOT, options
from tests.benchmarks.harness import table as table_of
from tests.benchmarks.yield_found import MadeUp, Own, sum_of
from tests.benchmarks.yield_runs import Package, find, made_up_inputs, own_data
from tests.benchmarks.yield_words import (
    Found,
    budgets,
    causes,
    draw,
    generators,
    survivors,
    table,
    write_csv,
    write_json,
)

FOLDERS = ("tests/problems", "examples/problems")
SHORT = ("dev/crate-product", "dev/two-piles", "held_out/milk-round")


def settings_of(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of `[pipeline]` for made-up inputs."""
    settings: dict[str, Any] = {"max_inputs": 10} if asked.short else {}
    for each in asked.set:
        settings.update(tomllib.loads(each))
    for name in ("max_inputs", "budget_s"):
        if getattr(asked, name) is not None:
            settings[name] = getattr(asked, name)
    if asked.generators:
        settings["generators"] = [name.strip() for name in asked.generators.split(",")]
    return settings


def chosen_packages(chosen: argparse.Namespace) -> list[Package]:
    """Return the packages to be judged, those that could not be read among them."""
    packages = find(chosen.folders or [ROOT / folder for folder in FOLDERS])
    words = [*chosen.only, *(SHORT if chosen.short and not chosen.folders else ())]
    return [each for each in packages if not words or any(word in each.label for word in words)]


class Bench:
    """Judges packages one after the other, and keeps what was found."""

    def __init__(self, chosen: argparse.Namespace, console: Console) -> None:
        self.chosen = chosen
        self.console = console
        self.registry: Registry = default_registry()
        self.unread: dict[str, str] = {}
        self.own: dict[str, Own] = {}
        self.by_budget: dict[float, dict[str, tuple[Own, MadeUp]]] = {}

    def run(self, packages: Sequence[Package], settings: Mapping[str, Any], budgets_s: Sequence[float]) -> None:
        """Judge all packages for each budget; 0 stands for none."""
        self.unread.update((each.label, each.why_not) for each in packages if each.problem is None)
        usable = [each for each in packages if each.problem is not None]
        with ProgressDisplay(self.console, unit="runs") as progress:
            steps = 1 + len(budgets_s)
            for done, package in enumerate(usable):
                progress.show(done * steps, len(usable) * steps, title=f"{package.label}, own data")
                try:
                    self._own(package, settings)
                    for number, budget_s in enumerate(budgets_s, 1):
                        title = f"{package.label}, made-up inputs"
                        progress.show(done * steps + number, len(usable) * steps, title=title)
                        its = {**settings, "budget_s": budget_s} if budget_s else settings
                        self._made_up(package, its, budget_s, progress)
                except BalancerError as error:
                    self.unread[package.label] = str(error).splitlines()[0]
                    progress.say(f"{package.label}: {self.unread[package.label]}")
                if self.chosen.json:
                    write_json(self.by_budget, self.unread, self.chosen.json)

    def _own(self, package: Package, settings: Mapping[str, Any]) -> None:
        place, again = self.chosen.results, self.chosen.again
        self.own[package.label] = own_data(package, self.registry, place, settings, again=again)

    def _made_up(
        self, package: Package, settings: Mapping[str, Any], budget_s: float, progress: ProgressDisplay
    ) -> None:
        own = self.own[package.label]
        made = made_up_inputs(package, own, self.registry, settings)
        self.by_budget.setdefault(budget_s, {})[package.label] = own, made
        each = sum_of([(own, made)])
        progress.say(f"{package.label}: made-up inputs kill {each.hit} of {each.by_own} in {each.seconds:.0f} s")


def show(bench: Bench, console: Console) -> None:
    """Print what was found, and write the files that were asked for."""
    for budget_s, found in bench.by_budget.items():
        sound: Found = {label: each for label, each in found.items() if not each[0].failing}
        apart: Found = {label: each for label, each in found.items() if each[0].failing}
        words = f", budget {budget_s:g} s" if budget_s else ""
        console.print(table(sound, f"Made-up inputs from samples alone, beside the packages' own data{words}"))
        if apart:
            console.print(table(apart, f"The same, where an accepted submission fails the package's own data{words}"))
        console.print(generators(found))
        console.print(survivors(found))
        console.print(causes(found))
    if len(bench.by_budget) > 1:
        console.print(budgets(bench.by_budget))
    failing = [(label, *each) for label, own in bench.own.items() for each in own.failing.items()]
    if failing:
        head = "package | accepted submission | on its own data"
        console.print(table_of(head, failing, "Fail their package's own data", words=3))
    for label, why in bench.unread.items():
        console.print(f"not judged: {label}: {why}", markup=False, highlight=False)
    last = list(bench.by_budget.values())[-1] if bench.by_budget else {}
    if bench.chosen.csv:
        write_csv(last, bench.chosen.csv)
    if bench.chosen.picture and bench.by_budget:
        draw(bench.by_budget, bench.chosen.picture)


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        f"{len(SHORT)} packages and few inputs, some two minutes",
        folders_=([Path], f"of packages; {' and '.join(FOLDERS)} if none is given"),
        only=([str], "packages whose name has this in it"),
        budget_s=(float, "seconds of made-up inputs for each package"),
        max_inputs=(int, "valid made-up inputs for each package"),
        generators=(str, "names, with commas between"),
        set=([str], "KEY=VALUE: any other setting of [pipeline], as in TOML"),
        over_time=([float], "these budgets in seconds, one after the other"),
        results=(ROOT / "results/yield", "where what own data say is kept"),
        again=(False, "find out again what own data say"),
        csv=(Path, "write a row for each wrong submission"),
        json=(Path, "write all that was found, after each package"),
        picture=(Path, "write kills against seconds, as SVG"),
    )
    console = Console(width=None if sys.stdout.isatty() else 200)
    bench = Bench(asked, console)
    try:
        bench.run(chosen_packages(asked), settings_of(asked), asked.over_time or (0,))
    except KeyboardInterrupt:
        console.print("stopped: what was found so far")
    show(bench, console)


if __name__ == "__main__":
    main()
