"""Tables and sentences in Markdown, for notebooks.

Decides how a table is written, and when a policy may be called the best. It must not know notebooks.
"""

from collections.abc import Iterable, Sequence

from simulator.report.figures import figure_of, worded
from simulator.study import Study

__all__ = ["best_in_words", "markdown_table"]


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table: the first column to the left, the others to the right.

    Raises:
        ValueError: a row has not as many cells as there are headings.
    """
    lines = [_line(headings), _line([":--", *["--:"] * (len(headings) - 1)])]
    for row in rows:
        if len(row) != len(headings):
            raise ValueError(f"found a row of {len(row)} cells under {len(headings)} headings; give as many")
        lines.append(_line([cell.replace("|", "\\|") for cell in row]))
    return "\n".join(lines)


def best_in_words(study: Study, name: str | None = None) -> str:
    """Return which policy is best by `name` (less is better), and which ones cannot be told apart from it.

    A policy is as good as the best if the interval of their paired difference holds 0, and it loses no more requests.

    Raises:
        ConfigError: there is no such figure.
    """
    name = name or study.default_metric
    best, *others = [p for p in study.ranking(name) if name in study.metrics(p)]
    alike = [p for p in others if not study.loses_more(p) and not study.difference(p, best, name).is_clear]
    found = f"`{best}` ({worded(study.metric(best, name), figure_of(name).unit)})"
    if not alike:
        return found
    names = ", ".join(f"`{policy}`" for policy in alike)
    return f"{found}, not distinguishable from {names}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
