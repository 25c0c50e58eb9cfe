"""The page of the faults names each fault in its own words."""

from tests.contracts.documents import ROOT, rows
from tests.faults.proxy import FAULTS


def test_the_page_has_each_fault_in_its_own_words():
    told = {row[0].strip("`"): row[1] for row in rows(ROOT / "docs" / "faults.md", "Results")}
    assert told == {name: fault.says for name, fault in FAULTS.items()}
