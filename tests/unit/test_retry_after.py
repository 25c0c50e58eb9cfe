"""How a Retry-After is read, wherever it comes from."""

from datetime import UTC, datetime

import pytest

from balancer.answers import asked_pause_s

NOW = "Thu, 01 Jan 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("9" * 400, 1e18),
        (None, None),
        ("", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("soon", None),
        ("٣", None),
        ("Wed, 21 Oct 2026 07:28:00 +99999999999999", None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2026 99999999999999999999:28:00 GMT", None),
    ],
)
def test_seconds_and_dates(value, seconds):
    assert asked_pause_s({"Date": NOW} if value is None else {"Date": NOW, "Retry-After": value}) == seconds


def test_a_date_counts_from_when_an_answer_without_its_own_came():
    came = datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC)
    later = {"Retry-After": "Thu, 01 Jan 2026 12:00:30 GMT"}
    assert asked_pause_s(later, received=came) == 20.0
    assert asked_pause_s({**later, "Date": NOW}, received=came) == 30.0
