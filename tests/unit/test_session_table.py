"""The table of sessions: what is known, for how long, and how much of it. It is told the time."""

import random
from types import SimpleNamespace

from balancer.core.session_table import SessionTable, may_leave


def test_a_name_is_known_until_nobody_has_used_it_for_so_long():
    table = SessionTable(10.0, 5)
    table.bind("x", "a", 0.0)
    assert [table.find(["x"], now) for now in (9.0, 18.0, 28.0)] == ["a", "a", None]
    assert len(table) == 0


def test_the_first_name_that_is_known_counts_and_a_later_answer_replaces():
    table = SessionTable(10.0, 5)
    table.bind("x", "a", 0.0)
    table.bind("y", "b", 0.0)
    assert [table.find(names, 1.0) for names in (["?", "y", "x"], ["x", "y"], ["?"], [])] == ["b", "a", None, None]
    table.bind("x", "c", 2.0)
    assert table.find(["x"], 2.0) == "c"


def test_of_too_many_names_those_unused_for_longest_are_forgotten():
    rng, table = random.Random(1), SessionTable(50.0, 7)
    used: dict[str, float] = {}  # the naive model: all names ever, by their last use
    now = 0.0
    for _ in range(2000):
        now, name = now + rng.choice((0.1, 1.0, 9.0)), str(rng.randrange(20))
        known = sorted((at for at in used.values() if now - at < 50.0), reverse=True)[:7]
        if rng.random() < 0.5:
            used[name] = now
            table.bind(name, f"at {name}", now)
        elif name in used and used[name] in known:
            used[name] = now
            assert table.find([name], now) == f"at {name}"
        else:
            used.pop(name, None)
            assert table.find([name], now) is None
        assert len(table) <= 7


def test_a_request_leaves_the_endpoint_of_its_session_only_by_choice():
    def slots(limit: int, in_flight: int) -> SimpleNamespace:
        return SimpleNamespace(limit=limit, in_flight=in_flight)

    for endpoint, gone, full in (
        (None, True, False),
        (slots(0, 0), True, False),
        (slots(0, 2), True, False),
        (slots(2, 2), False, True),
        (slots(2, 1), False, False),
    ):
        assert (may_leave(endpoint, ["gone"]), may_leave(endpoint, ["full"]), may_leave(endpoint, [])) == (
            gone, full, False,
        )  # fmt: skip
