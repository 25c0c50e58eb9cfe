"""When a page was made, and by what: the last line of every report.

Decides how that is written. The variable SOURCE_DATE_EPOCH of the environment (reproducible-builds.org), seconds since
1970, stands for the clock, so that the same result can give the same bytes.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

__all__ = ["made_by"]


def made_by() -> str:
    """Return e.g. "Made by balancer 1.0 on 2026-11-26 at 12:03 UTC."."""
    number = ""
    with suppress(PackageNotFoundError):
        number = f" {version('balancer')}"
    return f"Made by balancer{number} on {_now():%Y-%m-%d at %H:%M} UTC."


def _now() -> datetime:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(int(given), UTC)
    return datetime.now(UTC)
