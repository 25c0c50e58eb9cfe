"""The template engine: nothing from data is markup, and no name is missing in silence."""

import re
from pathlib import Path

import jinja2
import pytest

import balancer.reporting
from balancer.reporting.chart import Chart
from balancer.reporting.html import drawn, environment
from balancer.reporting.tile import Tile, Tone

_PAGE = """{% extends "page.html.j2" %}
{% from "parts.html.j2" import figures, name, tile_list %}
{% block title %}{{ title }}{% endblock %}
{% block body %}
{{ name(title) }}{{ tile_list(tiles) }}{{ figures(charts) }}{{ words.count(2, "case") }}
{% endblock %}
"""


def _page(title: str = "A title", tiles: tuple[Tile, ...] = (), charts: tuple[Chart, ...] = ()) -> str:
    made = environment("balancer.reporting").from_string(_PAGE)
    return made.render(title=title, tiles=tiles, charts=drawn(charts))


def test_a_page_is_whole_and_has_its_styles() -> None:
    html = _page()
    assert html.startswith("<!DOCTYPE html>\n<html")
    assert html.endswith("</html>")
    assert "<title>A title</title>" in html
    assert all(rule in html for rule in ("--ink:", ".tiles {", ".charts {", "@page {"))
    assert "2 cases" in html


def test_strings_are_escaped_and_visible() -> None:
    html = _page("<script>\x1b\u202e\ud800")
    assert "<title>&lt;script&gt;\ufffd\ufffd\ufffd</title>" in html
    assert "<code>&lt;script&gt;\ufffd\ufffd\ufffd</code>" in html


def test_only_a_drawing_is_markup() -> None:
    html = _page(charts=(Chart("A <title>", "how to & why", "<svg><g></g></svg>", wide=False),))
    assert "<h3>A &lt;title&gt;</h3>" in html
    assert "how to &amp; why" in html
    assert "<svg><g></g></svg>" in html
    assert "class=wide" not in html
    assert "class=wide" in _page(charts=(Chart("a", "b", "<svg></svg>"),))


def test_a_tile_has_its_tone() -> None:
    html = _page(tiles=(Tile("lost", "3", "of <many>", Tone.BAD), Tile("strategy", "least_in_flight", "")))
    assert '<div class="tile bad"><dt>lost</dt>' in html
    assert "of &lt;many&gt;" in html
    assert '<dd class="value long">least_in_flight</dd>' in html


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        environment("balancer.reporting").from_string("{{ nobody }}").render()


def test_a_page_must_have_a_title_and_a_body() -> None:
    made = environment("balancer.reporting").from_string('{% extends "page.html.j2" %}')
    with pytest.raises(jinja2.TemplateRuntimeError, match="title"):
        made.render()


def test_templates_mark_nothing_as_safe() -> None:
    """Escaping has no exception in a template: the only markup from outside is the charts' SVG."""
    templates = list(Path(balancer.reporting.__file__).parent.glob("*.j2"))
    assert templates
    for template in templates:
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8"))
