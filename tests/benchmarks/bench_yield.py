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
from rich.table import Table

from balancer.errors import BalancerError
from balancer.plugins.registry import Registry, default_registry
from balancer.reporting.progress import ProgressDisplay
from balancer.settings.pipeline import PipelineSettings
from tests.benchmarks.yield_found import MadeUp, Own, sum_of
from tests.benchmarks.yield_runs import Package, find, made_up_inputs, own_data
from tests.benchmarks.yield_words import Found, budgets, draw, generators, survivors, table, write_csv, write_json

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests/problems", "examples/problems")
SHORT = ("dev/crate-product", "dev/two-piles", "held_out/milk-round")
BUDGETS_S = (10, 30, 60, 120, 300, 600)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("folders", nargs="*", type=Path, help=f"of packages; {' and '.join(FOLDERS)} if none is given")
    add("--short", action="store_true", help=f"{len(SHORT)} packages and few inputs, some two minutes")
    add("--only", metavar="WORD", action="append", default=[], help="packages whose name has this in it")
    add("--budget-s", type=float, help="seconds of made-up inputs for each package")
    add("--max-inputs", type=int, help="valid made-up inputs for each package")
    add("--generators", help="names, with commas between")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting of [pipeline], as in TOML")
    add(
        "--over-time", metavar="SECONDS", nargs="*", type=float, help=f"these budgets, one after the other: {BUDGETS_S}"
    )
    add("--results", type=Path, default=ROOT / "results/yield", help="where what own data say is kept")
    add("--again", action="store_true", help="find out again what own data say")
    add("--csv", type=Path, help="write a row for each wrong submission")
    add("--json", type=Path, help="write all that was found, after each package")
    add("--picture", type=Path, help="write kills against seconds, as SVG")
    return parser.parse_args(arguments)


def settings_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of `[pipeline]` for made-up inputs."""
    settings: dict[str, Any] = {}
    for each in chosen.set:
        settings.update(tomllib.loads(each))
    if chosen.short:
        settings["max_inputs"] = 10
    if chosen.max_inputs is not None:
        settings["max_inputs"] = chosen.max_inputs
    if chosen.generators:
        settings["generators"] = [name.strip() for name in chosen.generators.split(",")]
    if chosen.budget_s is not None:
        settings["budget_s"] = chosen.budget_s
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
            total, done = len(usable) * (1 + len(budgets_s)), 0
            for package in usable:
                progress.show(done, total, title=f"{package.label}, own data")
                self._try(package, lambda package=package: self._own(package, settings), progress)
                done += 1
                for budget_s in budgets_s if package.label in self.own else ():
                    progress.show(done, total, title=f"{package.label}, made-up inputs")
                    its = {**settings, "budget_s": budget_s} if budget_s else settings
                    self._try(
                        package, lambda its=its, b=budget_s, p=package: self._made_up(p, its, b, progress), progress
                    )
                    done += 1
                if self.chosen.json:
                    write_json(self.by_budget, self.unread, self.chosen.json)
                if package.label not in self.own:
                    done += len(budgets_s)

    def _try(self, package: Package, act: Any, progress: ProgressDisplay) -> None:
        try:
            act()
        except BalancerError as error:
            self.unread[package.label] = str(error).splitlines()[0]
            progress.say(f"{package.label}: {self.unread[package.label]}")

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
    if len(bench.by_budget) > 1:
        console.print(budgets(bench.by_budget))
    _failing(bench, console)
    for label, why in bench.unread.items():
        console.print(f"not judged: {label}: {why}", markup=False, highlight=False)
    last = list(bench.by_budget.values())[-1] if bench.by_budget else {}
    if bench.chosen.csv:
        write_csv(last, bench.chosen.csv)
    if bench.chosen.picture and bench.by_budget:
        draw(bench.by_budget, bench.chosen.picture)


def _failing(bench: Bench, console: Console) -> None:
    shown = Table("package", "accepted submission", "on its own data", title="Fail their package's own data")
    for label, own in bench.own.items():
        for name, why in own.failing.items():
            shown.add_row(label, name, why)
    if shown.row_count:
        console.print(shown)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    chosen = options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    over_time = chosen.over_time is not None
    if (over_time or chosen.budget_s is not None) and "budget_s" not in PipelineSettings.model_fields:
        console.print("[pipeline] has no budget_s here: one run for each package, as long as it takes", markup=False)
        over_time, chosen.budget_s = False, None
    bench = Bench(chosen, console)
    try:
        bench.run(chosen_packages(chosen), settings_of(chosen), (chosen.over_time or BUDGETS_S) if over_time else (0,))
    except KeyboardInterrupt:
        console.print("stopped: what was found so far")
    show(bench, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
