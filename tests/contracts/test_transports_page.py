"""The measurements have every fault that clients of the transports met, every client, and each router."""

import re

from tests.benchmarks import compare_routers, show_transports
from tests.benchmarks.router_worker import ROUTERS
from tests.benchmarks.show_transports import BEGIN, END, PAGE, read, written
from tests.contracts.documents import rows
from tests.integration.transports.fault_clients import CLIENTS, FAULTS_MET


def test_it_is_what_the_record_says_between_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == 1
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == written(read())


def test_the_page_has_each_fault_in_its_own_words() -> None:
    told = {row[0].strip("`"): row[1] for row in rows(PAGE, "HTTP clients and server faults")}
    assert told == {name: fault.says for name, fault in FAULTS_MET.items()}


def test_each_fault_was_met_by_each_client() -> None:
    record = read()
    assert list(record) == list(FAULTS_MET)
    kinds = {client.kind for client in CLIENTS}
    for name, table in record.items():
        named = "; ".join(row[0] for row in table)
        assert named == "all" or all(re.search(rf"\b{kind}\b", named) for kind in kinds), name


def test_nobody_sent_more_than_three() -> None:
    for table in read().values():
        for _, sees, sent, counted, alone, asked, ends in table:
            assert all((sees, sent, counted, alone, asked, ends)), "no cell is empty"
            assert sum(map(int, sent.split(" + "))) <= 3
            assert int(asked) <= 3
            assert counted.split("; ")[0].split()[1] == ends.split()[1], "the page has one outcome for both"


def test_the_comparison_has_each_router() -> None:
    text = compare_routers.PAGE.read_text(encoding="utf-8")
    assert text.count(compare_routers.BEGIN) == 1
    table, end, _ = text.partition(compare_routers.BEGIN)[2].partition(compare_routers.END)
    assert end
    assert [name for name in ROUTERS if f"| {name} |" not in table] == []
    assert [name for name in compare_routers.HEAD if name not in table] == []
    assert show_transports.BEGIN != compare_routers.BEGIN
