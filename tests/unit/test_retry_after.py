"""How a Retry-After is read, wherever it comes from."""

from datetime import UTC, datetime

import pytest

from balancer.client_errors import asked_pause_s

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


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
def test_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    assert asked_pause_s(value, answered=NOW) == seconds


def test_a_date_says_nothing_if_it_is_not_known_when_the_answer_was_given() -> None:
    assert asked_pause_s("Thu, 01 Jan 2026 12:00:30 GMT", answered=None) is None
    assert asked_pause_s("7", answered=None) == 7.0
