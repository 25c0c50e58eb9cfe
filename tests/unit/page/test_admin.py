"""Drain and restore by HTTP are for those who have the token, and each has an audit line."""

import json
import logging
import re

import pytest

from balancer import Endpoint, Pool
from tests.unit.page.test_page import TOKEN, ask, state

_WHEN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def pool():
    with Pool([Endpoint("http://a/?key=c4n4ry-1", capacity=2), "http://b/"]) as made:
        yield made


@pytest.fixture
def page(pool):
    with pool.serve_page(token=TOKEN) as made:
        yield made


def admin(page, action, body, **headers):
    """Ask for an action; return the status, and what was done or is wrong."""
    right = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    answer, said = ask(page, "POST", f"/admin/{action}", right | headers, json.dumps(body))
    found = json.loads(said)
    return answer.status, found.get("done") or found["error"]


def test_each_action_changes_the_pool_and_has_an_audit_line(pool, page, caplog):
    caplog.set_level(logging.INFO, "balancer.audit")
    asked = [
        ("drain", {"endpoint": "http://a/"}, "drained http://a/"),
        ("restore", {"endpoint": "0"}, "restored http://a/"),
        ("drain", {"endpoint": "http://b"}, "drained http://b/"),
    ]
    state(page)  # rows have numbers from the first look on
    for action, body, done in asked:
        assert admin(page, action, body, **{"X-Balancer-User": "ann"}) == (200, done)
    assert [each.state for each in pool.stats().endpoints] == ["active", "draining"]
    lines = [record.getMessage() for record in caplog.records if record.name == "balancer.audit"]
    assert len(lines) == len(asked)
    for line, (_, _, done) in zip(lines, asked, strict=True):
        assert re.fullmatch(f"audit: {_WHEN} 'ann' at 127.0.0.1: {re.escape(done)}", line)
    assert "c4n4ry" not in caplog.text


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("action", "body", "status", "why"),
    [
        ("drain", {"endpoint": "http://nobody/"}, 404, "there is no such endpoint"),
        ("drain", {"endpoint": "http://b/", "for": 3}, 400, 'the body must be {"endpoint": "NAME OR ID"}'),
        ("restore", {"endpoint": "http://b/"}, 409, "http://b/"),
    ],
)
def test_a_mistake_changes_nothing_and_is_a_line_without_secrets(action, body, status, why, pool, page, caplog):
    caplog.set_level(logging.INFO, "balancer.audit")
    before = pool.stats()
    found, said = admin(page, action, body)
    assert (found, why in said) == (status, True), said
    assert "c4n4ry" not in said
    assert pool.stats() == before
    assert not [record for record in caplog.records if record.name == "balancer.audit"]


def test_names_that_look_the_same_need_the_id(pool, page):
    pool.add("http://a/?key=c4n4ry-3")
    rows = state(page)["endpoints"]
    assert admin(page, "drain", {"endpoint": "http://a/"})[0] == 409
    assert admin(page, "drain", {"endpoint": rows[2]["id"]}) == (200, "drained http://a/")
    assert [each.state for each in pool.stats().endpoints] == ["active", "active", "draining"]


def test_a_name_of_a_user_cannot_break_the_audit_line(page, caplog):
    caplog.set_level(logging.INFO, "balancer.audit")
    user = "x' at 9.9.9.9\tdone: http://u:p@h/?q=c4n4ry " + "y" * 200
    assert admin(page, "drain", {"endpoint": state(page)["endpoints"][1]["id"]}, **{"X-Balancer-User": user})[0] == 200
    (line,) = [record.getMessage() for record in caplog.records if record.name == "balancer.audit"]
    assert line.endswith(" at 127.0.0.1: drained http://b/")
    assert len(line) < 200
    assert "c4n4ry" not in line


def test_rows_of_endpoints_that_have_gone_are_forgotten_and_no_number_is_used_twice(pool, page):
    first = {row["id"] for row in state(page)["endpoints"]}
    for number in range(20):
        pool.add(f"http://pod-{number}/")
        (new,) = {row["id"] for row in state(page)["endpoints"]} - first
        pool.remove(f"http://pod-{number}/")
        assert new == str(2 + number)
    assert {row["id"] for row in state(page)["endpoints"]} == first


def test_the_page_shows_the_sources(tmp_path):
    file = tmp_path / "servers.json"
    file.write_text('["http://a/"]')
    with Pool() as pool, pool.serve_page() as page:
        discovery = pool.discover("file", {"path": str(file), "every_s": 1e6}, name="pods", wait_s=300.0)
        discovery.failed(ValueError("it is broken"))
        (row,) = state(page)["sources"]
        assert row["answered_at_s"] > 0
        del row["answered_at_s"]
        assert row == {
            "id": "0", "name": "pods", "kind": "file", "endpoints": 1, "missing": 0, "held": 0, "failures": 1,
            "trouble": "it is broken",
        }  # fmt: skip
