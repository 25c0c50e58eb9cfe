"""Deadline parsing: "90m", "2h 30m", "18:00", "Friday 18:00", "2026-11-27 18:00".

Decides which instant is meant: the next one that is so called. It must not know what time it is.
"""

import re
from datetime import datetime, timedelta
from typing import Final

from balancer.errors import ConfigError

__all__ = ["is_span", "seconds_until"]

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN: Final = re.compile(r"(?:\d+(?:\.\d+)?\s*[smhd]\s*)+")
_CLOCK: Final = re.compile(r"(?:(?P<day>[a-z]+)\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})")


def is_span(deadline: str) -> bool:
    """Return whether the deadline is so long from now, rather than an hour of the clock."""
    return _SPAN.fullmatch(deadline.strip().lower()) is not None


def seconds_until(deadline: str, now: datetime) -> float:
    """Return the seconds from `now` until the deadline.

    Raises:
        ConfigError: it is of no such form, or over.
    """
    text = deadline.strip().lower()
    if is_span(deadline):
        found = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", text))
    else:
        found = (_instant(text, deadline, now) - now).total_seconds()
    if found <= 0:
        raise ConfigError(f"--deadline: found {deadline!r}, which is over; give a later one")
    return found


def _instant(text: str, deadline: str, now: datetime) -> datetime:
    clock = _CLOCK.fullmatch(text)
    day = clock["day"] if clock else None
    ahead = [number for number, name in enumerate(_DAYS) if day and len(day) >= 3 and name.startswith(day)]
    try:
        if clock is None:
            found = datetime.fromisoformat(deadline.strip())
            return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
        if day and not ahead:
            raise ValueError("no day of the week")
        at = now.replace(hour=int(clock["hour"]), minute=int(clock["minute"]), second=0, microsecond=0)
    except ValueError:
        raise ConfigError(
            f'--deadline: found {deadline!r}; write it like "90m", "2h 30m", "18:00", "Friday 18:00" or '
            '"2026-11-27 18:00"'
        ) from None
    at += timedelta(days=(ahead[0] - now.weekday()) % 7 if ahead else 0)
    return at if at > now else at + timedelta(days=7 if ahead else 1)
