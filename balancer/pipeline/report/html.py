"""`report.html`: one page that stands alone, to be read, mailed and printed.

Decides what the page is made from; the templates decide how it looks. It must not know matplotlib.
"""

from collections.abc import Sequence

from jinja2 import Environment
from markupsafe import Markup, escape

from balancer.pipeline.report.endpoints import endpoint_lines, gone_endpoints
from balancer.pipeline.report.headline import NOT_JUDGED, left_out_lines, lost, tiles, troubles, warnings
from balancer.pipeline.report.matrix import LETTERS, matrix
from balancer.pipeline.report.notes import notes
from balancer.pipeline.report.rates import RATES, looks_said, rate_lines, spent_said
from balancer.pipeline.results.predictions import prediction_lines
from balancer.pipeline.results.run_result import RunResult
from balancer.problem import Verdict
from balancer.reporting.chart import Chart
from balancer.reporting.html import drawn, environment
from balancer.reporting.words import visible

__all__ = ["page"]


def page(result: RunResult, charts: Sequence[Chart]) -> str:
    """Return the page as text."""
    endpoints = endpoint_lines(result)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            totals=result.totals,
            counts=result.summary()["counts"],
            rate_names=RATES,
            rate_lines=rate_lines(result),
            spent=spent_said(result),
            looks=list(looks_said(result)),
            predictions=prediction_lines(result.predictions),
            bound_s=result.bound_s,
            left_out=left_out_lines(result, most=len(result.packages_left_out)),
            tiles=tiles(result),
            troubles=troubles(result),
            warnings=warnings(result),
            lost=lost(result),
            matrices=[matrix(problem) for problem in result.problems],
            not_judged=NOT_JUDGED,
            endpoints=endpoints,
            watched=any(line.health for line in endpoints),
            gone=gone_endpoints(result),
            legend=[(verdict.value, letter) for verdict, letter in LETTERS.items()],
            noted=notes(result),
            charts=drawn(charts),
        )
    )


def _environment() -> Environment:
    made = environment("balancer.pipeline.report")
    made.filters.update(spaced=_spaced, plain=_plain, text=_text)
    return made


def _spaced(value: Verdict | str) -> str:
    return (value.value if isinstance(value, Verdict) else value).replace("_", " ")


def _text(text: str) -> Markup:
    """Return a text of several lines, each of them as `words.visible` shows it; it is escaped here."""
    return escape("\n").join(visible(line) for line in text.split("\n"))


def _plain(name: str) -> str:
    """Return only what makes a name another name: "Pair Sum" is "pair-sum"."""
    return "".join(c for c in name.casefold() if c.isalnum())
