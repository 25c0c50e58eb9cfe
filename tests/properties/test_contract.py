"""Every registered strategy bears what the ledger may tell it, in any order.

A limit of 0 and back, as by ejection and probing; weights that grow, as by a slow start; leases of several slots; slots
that are kept and leased past the strategy. Throughout it picks only who can serve, and somebody if anybody can.
"""

from collections import Counter

import pytest

from balancer.endpoint import Endpoint
from tests.properties.books import Books
from tests.registered import NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "first"])  # which does not share out
def test_an_endpoint_that_comes_back_is_not_flooded_and_not_starved(name):
    """Three alike, one out of service for 300 leases. Of the next 60, one at a time, it has neither none nor most."""
    books = Books(name, [Endpoint(url, capacity=2) for url in "abc"], seed=3)
    books.calls(300)
    books.set("b", limit=0)
    assert "b" not in books.calls(300)
    books.set("b", limit=2)
    urls = books.calls(60)
    assert 5 <= urls.count("b") <= 35, Counter(urls)
