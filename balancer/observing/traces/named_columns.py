"""Tables of calls: CSV with a heading, or JSON lines, with a mapping of their columns to the fields of an attempt.

A table is made by hand, or by a line of jq or awk from the log of some program. So a wrong value is a mistake, and an
error: no row is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from balancer.endpoint import Outcome
from balancer.errors import ConfigError
from balancer.observing.traces.log_lines import RUN, LogOptions, LogReader, Row, instant_of, outcome_of
from balancer.observing.traces.rows import ATTEMPT_FIELDS, RULES, TEXT, TIME, Attempt
from balancer.values.redaction import plain_name

__all__ = ["Csv", "JsonLines"]

_HELD: Final = "held_s"  # seconds from the begin of a call to its end, for tables that have no end
_NAMES: Final = (*(name for name in ATTEMPT_FIELDS if name != "attempt"), _HELD)
_NEEDED: Final = (("endpoint",), ("ended_s", _HELD), ("granted_s", "asked_s"))
_OUTCOMES: Final = tuple(each.value for each in Outcome)


class _Table(LogReader):
    """Reads the rows of a table. A field without a column of its own is read from the column of its name."""

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        if strangers := [field for field in options.columns if field not in _NAMES]:
            raise ConfigError(f"--column: there is no field {strangers[0]!r}; fields are {', '.join(_NAMES)}")

    def read(self, item: Mapping[str, Any]) -> Iterator[Row]:
        columns = self.options.columns
        if missing := [column for column in columns.values() if column not in item]:
            raise ValueError(f"found no column {missing[0]!r}; there are {', '.join(item)}")
        of = {field: columns.get(field, field) for field in _NAMES if columns.get(field, field) in item}
        for needed in _NEEDED:
            if not any(field in of for field in needed):
                raise ValueError(
                    f"found no column {' or '.join(needed)}; name one with --column {needed[0]}=NAME; there are "
                    f"{', '.join(item)}"
                )
        given = {field: self._value(field, item[column]) for field, column in of.items()}
        known: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
        granted_s = known.get("granted_s", known.get("asked_s"))
        held_s = known.pop(_HELD, None)
        if granted_s is not None and held_s is not None:
            known.setdefault("ended_s", granted_s + held_s)
        if granted_s is None or "ended_s" not in known or "endpoint" not in known:
            raise ValueError(
                "found an empty value; endpoint, ended_s or held_s, and granted_s or asked_s must not be empty"
            )
        yield Attempt(**{"run": RUN, "attempt": 0, "asked_s": granted_s, "granted_s": granted_s, **known})

    def _value(self, field: str, found: object) -> Any:
        text = "" if found is None else str(found).strip()
        if not text:
            return None
        if isinstance(found, list | dict):
            raise ValueError(f"found {text[:40]!r} for {field}; it must be a single value")
        rule = RULES.get(field)
        try:
            if rule is TEXT:
                return _TEXTS.get(field, str)(text)
            if rule is TIME:
                return instant_of(text, self.options.zone)
            if rule is not None and rule.kind is bool:
                return text.lower() in ("1", "true", "yes")
            return int(text) if rule is not None and rule.kind is int else float(text)
        except ValueError:
            words = "a number" if rule is not TIME else "a number of seconds or an ISO date"
            words = f"{', '.join(_OUTCOMES)}, or a status of HTTP" if rule is TEXT else words
            raise ValueError(f"found {text[:40]!r} for {field}; it must be {words}") from None


def _outcome(text: str) -> str:
    if text not in _OUTCOMES and not text.lstrip("-").isdigit():
        raise ValueError(text)
    return text if text in _OUTCOMES else outcome_of(text)


_TEXTS: Final = {"endpoint": plain_name, "outcome": _outcome}


class Csv(_Table):
    """A row is a call; times are seconds of any clock, or ISO dates."""

    name, expects, shape = "csv", "CSV with a heading", "csv"


class JsonLines(_Table):
    """The same in JSON."""

    name, expects, shape = "jsonl", "JSON lines", "jsonl"
