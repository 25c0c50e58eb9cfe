"""Names in a terminal: no locale makes it fail."""

import io

import pytest
from rich.console import Console

from balancer.reporting.terminal import cleaner
from balancer.reporting.words import NOTHING


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("utf-8", "gr\u00f6\u00dfer\n\x1b[31m", "gr\u00f6\u00dfer \ufffd[31m"),
        ("ascii", "gr\u00f6\u00dfer \u65e5", "gr??er ?"),
        ("ascii", NOTHING, "-"),
        ("ascii", "a" * 30, "aaaa...aaa"),
    ],
)
def test_what_a_console_lacks_is_replaced(encoding, text, shown):
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert cleaner(console)(text, 10 if len(text) > 20 else 1000).plain == shown
