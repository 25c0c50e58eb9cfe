"""How the yield is shown: tables, files of figures, and a picture of kills against seconds.

Decides columns and words. The figures come from `yield_found`.
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from balancer.reporting.document import Chart
from balancer.reporting.lines import ChartLine, line_chart
from balancer.reporting.style import to_svg
from balancer.reporting.words import count, part_of, percent, seconds
from tests.benchmarks.yield_found import MadeUp, Own, Sum, sum_of

__all__ = ["Found", "budgets", "draw", "generators", "survivors", "table", "write_csv", "write_json"]

Found = Mapping[str, tuple[Own, MadeUp]]  # label of a package -> what was found


def table(found: Found, title: str) -> Table:
    """Return a row for each package, and the sum."""
    shown = Table(title=title, show_footer=True)
    rows = [(label, sum_of([each])) for label, each in found.items()]
    total = sum_of(found.values())
    columns = [list(_cells("", total))] + [list(_cells(label, each)) for label, each in rows]
    headings: tuple[str, ...] = (
        "package",
        "wrong",
        "samples",
        "own data",
        "made up",
        "of own data",
        "",
        "accepted kept",
        "cases",
    )
    headings += ("refused", "contested", "unjudged", "time")
    for index, heading in enumerate(headings):
        footer = count(len(rows), "package") if index == 0 else columns[0][index]
        shown.add_column(heading, footer, justify="left" if index == 0 else "right", overflow="fold")
    for cells in columns[1:]:
        shown.add_row(*cells)
    return shown


def _cells(label: str, each: Sum) -> Sequence[str]:
    return (
        label,
        str(each.wrong),
        str(each.by_samples),
        str(each.by_own),
        str(each.by_made_up),
        part_of(each.hit, each.by_own),
        percent(each.hit, each.by_own),
        part_of(each.kept, each.accepted),
        str(each.cases),
        str(each.refused),
        str(each.contested),
        str(each.unjudged),
        seconds(each.seconds),
    )


def survivors(found: Found) -> Table:
    """Return each wrong submission that own data kills and made-up inputs do not, with a reason."""
    shown = Table(title="Killed by own data, not by made-up inputs")
    for heading in ("package", "submission", "why"):
        shown.add_column(heading, overflow="fold")
    for label, (_, made) in found.items():
        for each in made.survivors:
            shown.add_row(label, each.submission, each.reason)
    return shown


def generators(found: Found) -> Table:
    """Return what each generator brought: how often its case kills a submission first, and its cases that kill."""
    first = Counter(kill.generator for _, made in found.values() for kill in made.kills)
    kept: Counter[str] = Counter()
    for _, made in found.values():
        kept.update(made.kept_by)
    shown = Table(title="What each generator brought")
    shown.add_column("generator")
    shown.add_column("first to kill", justify="right")
    shown.add_column("cases that kill", justify="right")
    for name in sorted(first | kept, key=lambda name: -first[name]):
        shown.add_row(name, str(first[name]), str(kept[name]) if name in kept else "")
    return shown


def budgets(by_budget: Mapping[float, Found]) -> Table:
    """Return the sums for each budget of time."""
    shown = Table(title="Yield over time")
    for heading in ("budget per problem", "time per problem", "made up", "of own data", "", "cases"):
        shown.add_column(heading, justify="right")
    for budget_s, found in by_budget.items():
        each = sum_of(found.values())
        mean_s = each.seconds / max(1, len(found))
        hit = part_of(each.hit, each.by_own), percent(each.hit, each.by_own)
        shown.add_row(seconds(budget_s), seconds(mean_s), str(each.by_made_up), *hit, str(each.cases))
    return shown


def draw(by_budget: Mapping[float, Found], file: Path) -> None:
    """Write a picture (SVG): kills against seconds, within each run and for each budget."""
    lines = []
    for budget_s, found in by_budget.items():
        after_s = sorted(
            kill.after_s for own, made in found.values() for kill in made.kills if kill.submission in own.by_all
        )
        steps = [(max(0.1, each), number) for number, each in enumerate(after_s, 1)]
        if steps:
            name = f"budget {seconds(budget_s)}" if budget_s else "without a budget"
            lines.append(ChartLine(name, [x for x, _ in steps], [y for _, y in steps]))
    ends = [(budget_s, sum_of(found.values()).hit) for budget_s, found in by_budget.items() if budget_s]
    if len(ends) > 1:
        lines.append(ChartLine("at the end of the budget", [x for x, _ in ends], [y for _, y in ends]))
    own = max((sum_of(found.values()).by_own for found in by_budget.values()), default=0)
    drawing, _ = line_chart(
        lines, xlabel="seconds since the problem's run began", ylabel=f"kills, of the {own} of own data", width_in=7.0,
        xscale="log",
    )  # fmt: skip
    chart = Chart("Yield over time", "", to_svg(drawing, "yield"))
    svg = chart._repr_svg_().replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    file.write_text(
        svg if svg.count("xmlns=") == 1 else svg.replace('<svg xmlns="http://www.w3.org/2000/svg" ', "<svg ", 1)
    )


def write_csv(found: Found, file: Path) -> None:
    """Write a row for each package and submission."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["package", "submission", "samples", "own data", "made up", "generator", "after_s", "why not"])
        for label, (own, made) in found.items():
            kills = {kill.submission: kill for kill in made.kills}
            reasons = {each.submission: each.reason for each in made.survivors}
            for name in own.wrong:
                kill = kills.get(name)
                by = (int(name in own.by_samples), int(name in own.by_all), int(kill is not None))
                how = (kill.generator, round(kill.after_s, 2)) if kill else ("", "")
                writer.writerow([label, name, *by, *how, reasons.get(name, "")])


def write_json(by_budget: Mapping[float, Found], unread: Mapping[str, str], file: Path) -> None:
    """Write all that was found; a budget of 0 stands for none."""
    known = {
        str(budget_s): {
            label: {
                "own": {**asdict(own), "by_samples": sorted(own.by_samples), "by_all": sorted(own.by_all)},
                "made_up": made.to_dict(),
            }
            for label, (own, made) in found.items()
        }
        for budget_s, found in by_budget.items()
    }
    sums = {str(budget_s): asdict(sum_of(found.values())) for budget_s, found in by_budget.items()}
    file.write_text(json.dumps({"sums": sums, "packages": known, "unread": dict(unread)}, indent=1) + "\n")
