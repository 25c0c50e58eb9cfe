"""Readers are sent all there is, then what has changed; nobody is waited for, and nobody looks while nobody reads."""

import asyncio
import json
import random

from balancer.observing.page.app import Feed
from balancer.observing.page.pool_tables import apply, changes
from tests.unit.loops import in_a_loop


class Looks:
    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return float(self.count), {"pool": {"": {"count": self.count, "same": 1}}}


def said(event):
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    return json.loads(event[6:])


async def begun(feed):
    reader = feed.follow()
    assert await anext(reader) == b"retry: 2000\n\n"
    return reader


async def wait_for(looks, count):
    while looks.count < count:
        await asyncio.sleep(0.001)


@in_a_loop
async def test_all_there_is_comes_first_and_then_what_has_changed():
    looks = Looks()
    reader = await begun(Feed(looks, 0.001))
    first, second = said(await anext(reader)), said(await anext(reader))
    assert first == {"at_s": 1.0, "all": True, "tables": {"pool": {"": {"count": 1, "same": 1}}}}
    assert second == {"at_s": 2.0, "all": False, "tables": {"pool": {"": {"count": 2}}}}


@in_a_loop
async def test_one_who_comes_later_is_sent_all_there_is():
    looks = Looks()
    feed = Feed(looks, 0.001)
    early = await begun(feed)
    await anext(early)
    late = await begun(feed)
    event = said(await anext(late))
    assert event["all"]
    assert event["tables"]["pool"][""]["same"] == 1
    assert not said(await anext(early))["all"]


@in_a_loop
async def test_one_who_does_not_read_gets_the_changes_of_all_missed_looks_at_once():
    looks, mine = Looks(), {}
    slow = await begun(Feed(looks, 0.001))
    first = said(await anext(slow))
    await wait_for(looks, 40)
    then = said(await anext(slow))
    assert then["at_s"] > 16
    for event in (first, then):
        apply(mine, event["tables"])
    assert mine["pool"][""] == {"count": then["at_s"], "same": 1}


@in_a_loop
async def test_nobody_looks_while_nobody_reads():
    looks = Looks()
    feed = Feed(looks, 0.001)
    await asyncio.sleep(0.02)
    assert looks.count == 0
    reader = await begun(feed)
    await anext(reader)
    await reader.aclose()
    await asyncio.sleep(0.05)
    before = looks.count
    await asyncio.sleep(0.05)
    assert looks.count == before
    again = await begun(feed)
    assert said(await anext(again))["all"]


@in_a_loop
async def test_a_look_that_fails_ends_nothing(caplog):
    looks = Looks()

    def look():
        at_s, tables = looks()
        if at_s == 2:
            raise RuntimeError("just now")
        return at_s, tables

    reader = await begun(Feed(look, 0.001))
    assert [said(await anext(reader))["at_s"] for _ in range(2)] == [1.0, 3.0]
    assert "the page could not read the pool" in caplog.text


@in_a_loop
async def test_with_one_reader_too_many_the_first_one_is_let_go():
    feed = Feed(Looks(), 0.001)
    readers = [await begun(feed) for _ in range(64)]
    last = await begun(feed)
    async for _ in readers[0]:  # it ends
        pass
    for reader in (readers[1], last):
        await anext(reader)
    feed.close()


@in_a_loop
async def test_readers_are_let_go_when_it_is_closed():
    feed = Feed(Looks(), 0.001)
    readers = [await begun(feed) for _ in range(64)]
    await anext(readers[0])
    await asyncio.sleep(0.05)
    feed.close()
    for reader in readers:
        async for _ in reader:
            pass


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
    assert changes(before, after) == {"endpoints": {"0": {"leases": 5}, "1": None, "2": {"name": "c", "leases": 2}}}


def test_a_table_that_has_gone_has_no_rows():
    mine = {"run": {"": {"done": 1}}}
    apply(mine, changes(mine, {}))
    assert mine == {"run": {}}
