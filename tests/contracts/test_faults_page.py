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


def test_no_task_was_lost() -> None:
    assert {table[fault][6] for table in read().values() for fault in FAULTS} == {"0"}


def test_what_changes_verdicts_is_said_in_words() -> None:
    changed = {fault for table in read().values() for fault in FAULTS if table[fault][5] != "unchanged"}
    before = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    assert "**changes verdicts**" in before
    assert changed <= set(re.findall(r"`([\w-]+)`", before)), "name in the introduction what changes verdicts"


def test_the_lie_was_tried_with_verify_on_every_server_and_changed_nothing() -> None:
    for table in read().values():
        _, faults, verdicts, lost = table[VERIFIED]
        assert int(faults) >= 1, "lies were told"
        assert int(table[LIE][3]) >= 1
        assert (verdicts, lost) == ("unchanged", "0")
