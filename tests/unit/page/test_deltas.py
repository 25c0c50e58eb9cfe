"""What has changed makes the later tables of the earlier, and is no more than that."""

import json
import random

from balancer.observing.page.pool_tables import apply, changes


def some_tables(rng):
    return {
        table: {
            str(row): {column: rng.choice([0, 1, 2.5, None, "x", True]) for column in "abc"}
            for row in rng.sample(range(9), rng.randrange(9))
        }
        for table in ("one", "two", "three")
    }


def test_what_is_applied_is_what_there_was():
    rng = random.Random(7)
    there = {}
    mine = {}
    for _ in range(300):
        now = some_tables(rng)
        told = json.loads(json.dumps(changes(there, now)))
        apply(mine, told)
        assert {name: rows for name, rows in mine.items() if rows} == {name: rows for name, rows in now.items() if rows}
        there = now


def test_only_what_has_changed_is_said():
    before = {"endpoints": {"0": {"name": "a", "leases": 1}, "1": {"name": "b", "leases": 2}}, "news": {}}
    after = {"endpoints": {"0": {"name": "a", "leases": 5}, "2": {"name": "c", "leases": 2}}, "news": {}}
    assert changes(before, before) == {}
    assert changes(before, after) == {
        "endpoints": {"set": {"leases": ["0", 5, "2", 2], "name": ["2", "c"]}, "gone": ["1"]}
    }


def test_a_table_that_has_gone_has_no_rows():
    mine = {"run": {"": {"done": 1}}}
    apply(mine, changes(mine, {}))
    assert mine == {"run": {}}
