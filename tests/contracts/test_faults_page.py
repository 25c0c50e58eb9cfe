"""The page of the faults has every fault there is, before every server that has an executor, and hides nothing."""

import re

import pytest

from balancer.testing.faults import FAULTS
from tests.benchmarks.show_faults import BEGIN, END, LIE, PAGE, VERIFIED
from tests.contracts.documents import rows
from tests.integration.pipeline.fault_matrix import KINDS


def _named(row: list[str]) -> str:
    return row[0].strip("`")


def test_it_was_written_between_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index("## In sum") < text.index(END)


def test_the_sum_has_each_fault_in_its_own_words() -> None:
    told = {_named(row): row[1] for row in rows(PAGE, "In sum")}
    assert told == {name: fault.says for name, fault in FAULTS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_each_server_has_each_fault(kind: str) -> None:
    table = list(rows(PAGE, kind))
    assert [_named(row) for row in table] == list(FAULTS)
    assert {len(row) for row in table} == {7}
    assert all(all(row) for row in table), "no cell is empty"
    assert sum(int(row[3]) for row in table) > len(FAULTS), "faults were committed"


def test_the_sum_is_the_sum() -> None:
    tables = {kind: {_named(row): row for row in rows(PAGE, kind)} for kind in KINDS}
    for row in rows(PAGE, "In sum"):
        of = [table[_named(row)] for table in tables.values()]
        assert row[2] == f"{sum(each[5] == 'as quiet' for each in of)} of {len(KINDS)} servers"
        assert int(row[3]) == sum(int(each[6]) for each in of)


def test_what_changes_verdicts_is_said_in_words() -> None:
    changed = {_named(row) for row in rows(PAGE, "In sum") if not re.match(rf"{len(KINDS)} of", row[2])}
    before = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    assert "**changes verdicts**" in before
    assert changed <= set(re.findall(r"`([\w-]+)`", before)), "name in the introduction what is not as in a quiet run"


def test_the_lie_was_tried_with_verify_on_every_server() -> None:
    table = {row[0]: row for row in rows(PAGE, VERIFIED)}
    assert list(table) == list(KINDS)
    for kind, row in table.items():
        assert int(row[1]) >= 1, "lies were told"
        without = {_named(each): each for each in rows(PAGE, kind)}[LIE]
        assert int(without[3]) >= 1
