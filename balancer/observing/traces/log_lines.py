"""Log lines of other programs: what a reader of a format gets, gives and says of lines that it leaves out.

A reader takes from a line only times, endpoints, sizes and outcomes. Paths, queries, headers and clients stay out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, ClassVar, Final, Literal

from balancer.observing.traces.rows import Attempt, Happening
from balancer.values.redaction import in_one_line

__all__ = [
    "NOWHERE",
    "RUN",
    "LeftOut",
    "LogOptions",
    "LogReader",
    "call",
    "instant_of",
    "outcome_of",
    "retry",
    "shown_line",
]

RUN: Final = "imported"
NOWHERE: Final = "without an upstream server"

Row = Attempt | Happening


class LeftOut(Exception):
    """A line is understood, but is neither a call nor an event of an endpoint.

    The text says of which kind such lines are, so that "3 lines" can stand before it.
    """


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to read a log.

    Attributes:
        zone: of times without one; None: that of this machine.
        log_format: nginx's `log_format`; None: the default.
        columns: of a table: for fields of an attempt, the name of the column that has it.
    """

    zone: tzinfo | None = None
    log_format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


class LogReader:
    """Reads the lines of one log, in their order.

    Attributes:
        name: the word for `--from`.
        expects: what a line has to be, for errors.
        shape: what it gets: lines, or rows of CSV or JSON lines.
        notes: what else is to be said, and how often.
    """

    name: ClassVar[str]
    expects: ClassVar[str]
    shape: ClassVar[Literal["lines", "csv", "jsonl"]] = "lines"

    def __init__(self, options: LogOptions) -> None:
        self.options = options
        self.notes: Counter[str] = Counter()

    @staticmethod
    def looks(line: str) -> bool:
        """Return whether a line seems to be of this format. A table is named: any program may have written it."""
        return False

    def read(self, item: Any) -> Iterable[Row]:
        """Return the rows of a line: a text, or of a table a row by its columns.

        Raises:
            LeftOut: it has none.
            ValueError, LookupError, TypeError, AttributeError, OverflowError: it is no line of this format.
        """
        raise NotImplementedError


def call(
    endpoint: str, asked_s: float, ended_s: float, outcome: str | None, *, granted_s: float | None = None, **more: Any
) -> Attempt:
    """Return the row of a call. Times are put in order: a log rounds each for itself."""
    granted_s = max(asked_s, asked_s if granted_s is None else granted_s)
    if not endpoint or len(endpoint) > 1000:
        raise ValueError("it has no name of an endpoint")
    return Attempt(RUN, 0, asked_s, granted_s, max(ended_s, granted_s), endpoint, outcome=outcome, **more)


def retry(at_s: float, endpoint: str | None) -> Happening:
    """Return the event of a retry."""
    return Happening(RUN, at_s, "retried", endpoint)


def outcome_of(status: object) -> str:
    """Return the outcome of a call with this HTTP status, as a pool counts it.

    429 and 503 are overloads. 499 (nginx, Traefik) and 460 (ALB) say that the client left.
    """
    text = str(status).strip()
    if not (text.isascii() and text.isdigit()) or text == "0":
        return "failure"
    code = int(text[:4])
    return "overload" if code in (429, 503) else "failure" if code >= 500 else "success" if code < 400 else "ignored"


def instant_of(value: object, zone: tzinfo | None = None) -> float:
    """Return the seconds since 1970 of an ISO date, or of a number of seconds.

    Args:
        value: a date without a time zone is in `zone`, or in that of this machine.

    Raises:
        ValueError: it is no date.
    """
    text = str(value).strip()
    with suppress(ValueError):
        return float(text)
    date = datetime.fromisoformat(text.replace(",", "."))
    return (date.replace(tzinfo=zone) if date.tzinfo is None and zone is not None else date).timestamp()


_QUERY: Final = re.compile(r"\?[^\s\"']*")
_KEY: Final = re.compile(
    r"(?i)((?:api[-_]?key|authorization|token|secret|passw\w*|cookie|bearer|basic)[\"']*(?:\s*[:=]\s*|\s+)[\[\"']*)"
    r"(?:(?:bearer|basic)\s+)?[^\s\"',\]&]+"
)
_TOKEN: Final = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}")  # letters and digits: perhaps a key


def shown_line(line: object, most: int = 80) -> str:
    """Return the first characters of a line for an error, without what may be secret."""
    text = _QUERY.sub("?...", str(line)[: 20 * most])
    return in_one_line(_TOKEN.sub("...", _KEY.sub(r"\1...", text)), most)
