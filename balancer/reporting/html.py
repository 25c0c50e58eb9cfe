"""The template engine of all pages: a page stands alone, to be read, mailed and printed.

Decides that every string from data is escaped, and made visible (see `words.visible`) on the way; that a name
that does not exist is an error; and where templates are. The templates decide how a page looks. It must not know
matplotlib, nor what a page says.

A page's template extends `page.html.j2` (blocks: `title`, `marks` for styles of its own, `body`, and `footer` for
what follows on when it was made), and may import
from `parts.html.j2` what reports have in common: `name`, `tile_list`, `figures`.
"""

from collections.abc import Sequence
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from balancer.reporting import words
from balancer.reporting.chart import Chart
from balancer.reporting.made import made_by

__all__ = ["drawn", "environment"]


def environment(package: str) -> Environment:
    """Return an engine that takes templates from the folder of `package`, and those in common from this one.

    Templates may call all that is in `words`.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("balancer.reporting", ".")]),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["words"] = words
    made.globals["made_by"] = made_by
    return made


def drawn(charts: Sequence[Chart]) -> list[tuple[Chart, Markup]]:
    """Return each chart with its drawing, for the macro `figures`: the only markup that templates are given."""
    return [(chart, Markup(chart.svg)) for chart in charts]  # drawn by us, escaped by matplotlib


def _shown(value: Any) -> Any:
    return words.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
