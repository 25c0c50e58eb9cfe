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
from balancer.reporting.drawing import to_svg
from balancer.reporting.lines import ChartLine, line_chart
from balancer.reporting.words import count, part_of, percent, seconds
from tests.benchmarks.harness import table as table_of
from tests.benchmarks.yield_found import CAUSES, MadeUp, Own, Sum, sum_of

Found = Mapping[str, tuple[Own, MadeUp]]  # label of a package -> what was found


def table(found: Found, title: str) -> Table:
    """Return a row for each package, and the sum."""
    rows = [_cells(label, sum_of([each])) for label, each in found.items()]
    head = "package | wrong | samples | own data | made up | of own data |  | accepted kept | cases"
    total = _cells(count(len(rows), "package"), sum_of(found.values()))
    return table_of(f"{head} | refused | contested | unjudged | of budget | time", [*rows, total], title)


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
        f"{each.spent_s:.1f} s",
        seconds(each.seconds),
    )


def survivors(found: Found) -> Table:
    """Return each wrong submission that own data kills and made-up inputs do not, with a reason."""
    rows = [
        (label, each.submission, each.cause, each.reason)
        for label, (_, made) in found.items()
        for each in made.survivors
    ]
    return table_of("package | submission | cause | why", rows, "Killed by own data, not by made-up inputs", words=4)


def causes(found: Found) -> Table:
    """Return how many survive for each cause, and in which packages."""
    rows = []
    for cause in CAUSES:
        labels = Counter(label for label, (_, made) in found.items() for each in made.survivors if each.cause == cause)
        rows.append((cause, labels.total(), ", ".join(f"{label}: {number}" for label, number in labels.items())))
    return table_of("cause | survivors | of them", rows, "Why they survive", words=1)


def generators(found: Found) -> Table:
    """Return what each generator brought: how often its case kills a submission first, and its cases that kill."""
    first = Counter(kill.generator for _, made in found.values() for kill in made.kills)
    kept, cpu_s = Counter[str](), Counter[str]()
    for _, made in found.values():
        kept.update(made.kept_by)
        cpu_s.update(made.cpu_s)  # type: ignore[arg-type]  # seconds, not whole
    names = sorted({*first, *kept, *cpu_s}, key=lambda name: -first[name])
    rows = [
        (
            name,
            first[name],
            kept[name] or "",
            f"{cpu_s[name]:.0f}",
            f"{100 * first[name] / cpu_s[name]:.1f}" if cpu_s[name] else "",
        )
        for name in names
    ]
    head = "generator | first to kill | cases that kill | CPU, s | first kills in 100 s of CPU"
    return table_of(head, rows, "What each generator brought")


def budgets(by_budget: Mapping[float, Found]) -> Table:
    """Return the sums for each budget of time."""
    rows = []
    for budget_s, found in by_budget.items():
        each = sum_of(found.values())
        mean_s = each.seconds / max(1, len(found))
        hit = part_of(each.hit, each.by_own), percent(each.hit, each.by_own)
        rows.append((seconds(budget_s), seconds(mean_s), each.by_made_up, *hit, each.cases))
    head = "budget per problem | time per problem | made up | of own data |  | cases"
    return table_of(head, rows, "Yield over time", words=0)


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
    drawing = line_chart(
        lines, xlabel="seconds since the problem's run began", ylabel=f"kills, of the {own} of own data", width=500.0,
        xscale="log",
    )  # fmt: skip
    chart = Chart("Yield over time", "", to_svg(drawing))
    svg, space = chart._repr_svg_(), '<svg xmlns="http://www.w3.org/2000/svg" '
    file.write_text(svg if "xmlns=" in svg else svg.replace("<svg ", space, 1))


def write_csv(found: Found, file: Path) -> None:
    """Write a row for each package and submission."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["package", "submission", "samples", "own data", "made up", "generator", "after_s", "why not", "cause"]
        )
        for label, (own, made) in found.items():
            kills = {kill.submission: kill for kill in made.kills}
            reasons = {each.submission: (each.reason, each.cause) for each in made.survivors}
            for name in own.wrong:
                kill = kills.get(name)
                by = (int(name in own.by_samples), int(name in own.by_all), int(kill is not None))
                how = (kill.generator, round(kill.after_s, 2)) if kill else ("", "")
                writer.writerow([label, name, *by, *how, *reasons.get(name, ("", ""))])


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
