"""The last line of every report: when it was made, and by what."""

import re

import pytest

from balancer.reporting.html import environment
from balancer.reporting.made import made_by


def test_a_page_says_when_it_was_made_and_by_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert re.fullmatch(r"Made by balancer \S+ on 1970-01-01 at 00:00 UTC\.", made_by())
    page = environment("balancer.reporting").from_string(
        '{% extends "page.html.j2" %}{% block title %}t{% endblock %}{% block body %}b{% endblock %}'
    )
    assert f"<footer>{made_by()}</footer>" in page.render()


@pytest.mark.parametrize("given", ["", "soon", "1e9", "99999999999999999999"])
def test_without_a_date_that_can_be_read_it_is_now(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    found = re.search(r"on (\d{4})-", made_by())
    assert found
    assert int(found[1]) >= 2026
