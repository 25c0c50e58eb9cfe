"""The measurements have every fault that clients of the transports met, every client, and each router."""

import re

from tests.benchmarks import compare_routers, show_transports
from tests.benchmarks.router_worker import ROUTERS
from tests.benchmarks.show_transports import BEGIN, END, PAGE
from tests.contracts.documents import rows
from tests.integration.transports.fault_clients import CLIENTS, FAULTS_MET

_TABLE = [row for row in rows(PAGE, "HTTP clients and server faults") if row[0] != "fault"]


def test_it_was_written_between_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == 1
    begin = text.index(BEGIN)
    assert begin < text.index("| `refused`", begin) < text.index(END, begin)


def test_each_fault_is_said_and_met_by_each_client() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert list(dict.fromkeys(row[0].strip("`") for row in _TABLE)) == list(FAULTS_MET)
    kinds = {client.kind for client in CLIENTS}
    for name, fault in FAULTS_MET.items():
        assert f"- `{name}`: {fault.says}." in text
        named = " ".join(row[1] for row in _TABLE if row[0] == f"`{name}`")
        assert named == "all" or all(re.search(rf"\b{kind}\b", named) for kind in kinds), name


def test_nobody_sent_more_than_three() -> None:
    for row in _TABLE:
        assert all(row), "no cell is empty"
        assert sum(map(int, row[3].split(" + "))) <= 3
        assert int(row[6]) <= 3


def test_the_comparison_has_each_router() -> None:
    text = compare_routers.PAGE.read_text(encoding="utf-8")
    assert text.count(compare_routers.BEGIN) == 1
    table, end, _ = text.partition(compare_routers.BEGIN)[2].partition(compare_routers.END)
    assert end
    assert [name for name in ROUTERS if f"| {name} |" not in table] == []
    assert show_transports.BEGIN != compare_routers.BEGIN
