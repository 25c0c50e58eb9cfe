"""The page where programs run names each fault; what it says of one is said in the fault's own words."""

import re

from tests.contracts.documents import ROOT, rows
from tests.faults.proxy import FAULTS


def test_the_page_has_each_fault_once_and_in_its_own_words():
    told = [
        (name, words)
        for _, cell in rows(ROOT / "docs" / "sandbox.md", "Faults")
        for name, words in re.findall(r"`([^`]+)`(?: \(([^;)]+))?", cell)
    ]
    assert sorted(name for name, _ in told) == sorted(FAULTS)
    assert all(words in ("", FAULTS[name].says) for name, words in told)
