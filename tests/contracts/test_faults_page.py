"""The page of the faults says what the record has of every fault, before every server that has an executor."""

import re

import pytest

from tests.benchmarks.show_faults import BEGIN, END, LIE, PAGE, VERIFIED, read, written
from tests.contracts.documents import rows
from tests.faults.proxy import FAULTS
from tests.integration.pipeline.fault_matrix import KINDS


def _named(row: list[str]) -> str:
    return row[0].strip("`")


def test_it_is_what_the_record_says_between_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == written(read())


def test_the_results_have_each_fault_in_its_own_words() -> None:
    told = {_named(row): row[1] for row in rows(PAGE, "Results")}
    assert told == {name: fault.says for name, fault in FAULTS.items()}


def test_the_record_has_each_server() -> None:
    assert list(read()) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_has_each_fault_of_a_server(kind: str) -> None:
    table = read()[kind]
    assert list(table) == [*FAULTS, VERIFIED]
    told = [table[fault] for fault in FAULTS]
    assert [_named(list(row)) for row in told] == list(FAULTS)
    assert {len(row) for row in told} == {7}
    assert all(all(row) for row in told), "no cell is empty"
    assert sum(int(row[3]) for row in told) > len(FAULTS), "faults were committed"


def test_the_results_are_the_sum() -> None:
    record = read()
    for row in rows(PAGE, "Results"):
        of = [table[_named(row)] for table in record.values()]
        assert int(row[4]) == sum(int(each[3]) for each in of)
        assert row[5] == f"{sum(each[5] == 'unchanged' for each in of)} of {len(KINDS)} servers"
        assert int(row[6]) == sum(int(each[6]) for each in of)


def test_what_changes_verdicts_is_said_in_words() -> None:
    changed = {_named(row) for row in rows(PAGE, "Results") if not re.match(rf"{len(KINDS)} of", row[5])}
    before = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    assert "**changes verdicts**" in before
    assert changed <= set(re.findall(r"`([\w-]+)`", before)), "name in the introduction what changes verdicts"


def test_the_lie_was_tried_with_verify_on_every_server() -> None:
    record = read()
    assert [row[0] for row in rows(PAGE, VERIFIED)] == list(KINDS)
    for table in record.values():
        assert int(table[VERIFIED][1]) >= 1, "lies were told"
        assert int(table[LIE][3]) >= 1
