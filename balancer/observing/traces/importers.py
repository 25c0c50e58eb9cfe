"""Trace importers: access logs of nginx and HAProxy, and CSV tables with named columns.

Only times, endpoints and outcomes are imported; paths, clients and the rest are left out.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from balancer.errors import ConfigError
from balancer.observing.traces.rows import Attempt, mistake_in

__all__ = ["NGINX_FORMAT", "from_csv", "from_haproxy", "from_nginx"]

NGINX_FORMAT: Final = "$msec $status $request_time $upstream_addr $upstream_response_time"
"""The expected `log_format`. Another one must have at least these five names, in any order."""

_RUN: Final = "imported"
_ADVICE: Final = "give the log_format that wrote it, with --format"
_NEEDED: Final = ("upstream_addr", "upstream_response_time")
# nginx writes a value for each upstream that it tried, separated by ", ", or by " : " after a redirect.
_SEVERAL: Final = re.compile(r", | : ")
_TRIED: Final = r"[^\s,]+(?:(?:,| :) [^\s,]+)*"


def from_nginx(
    lines: Iterable[str],
    log_format: str = NGINX_FORMAT,
    *,
    name: str = "nginx log",
    left_out: list[int] | None = None,
) -> Iterator[Attempt]:
    """Yield an attempt for each upstream that each request was sent to.

    A request ended at `$msec` or `$time_iso8601`, and began `$request_time` before; without that, when its first
    attempt began. Attempts follow each other, and the last ends with the request. Requests without an upstream are left
    out.

    Args:
        lines: of the log.
        log_format: the format of the log.
        name: of the log, for error texts.
        left_out: the numbers of lines without an upstream are appended to it.

    Raises:
        ConfigError: the format lacks a name, or a line has another format.
    """
    pattern = _pattern_of(log_format)
    number = 0
    for place, found in _matches(lines, pattern.match, name, f"{log_format!r}; {_ADVICE}"):
        where = f"{name}:{place}"
        if found["upstream_addr"].strip() in ("", "-"):
            if left_out is not None:
                left_out.append(place)
            continue
        end_s = _nginx_end_s(found, where)
        addresses = _SEVERAL.split(found["upstream_addr"].strip())
        taken = [_seconds(text, where) for text in _SEVERAL.split(found["upstream_response_time"].strip())]
        if len(taken) != len(addresses):
            raise ConfigError(f"{where}: found {len(addresses)} upstreams and {len(taken)} upstream times; {_ADVICE}")
        request_s = _seconds(found["request_time"], where) if "request_time" in found else sum(taken)
        statuses = _SEVERAL.split(found.get("upstream_status", found.get("status", "200")).strip())
        asked_s, granted_s = end_s - max(request_s, sum(taken)), end_s - sum(taken)
        for which, (address, took_s) in enumerate(zip(addresses, taken, strict=True)):
            last = which == len(addresses) - 1
            status = statuses[which] if which < len(statuses) else statuses[-1]
            outcome = _outcome(status) if last or len(statuses) > 1 else "failure"
            yield Attempt(
                _RUN, number, asked_s, granted_s, granted_s + took_s, address, task=f"line {place}",
                host=address.rpartition(":")[0] or address, outcome=outcome, server_s=took_s,
            )  # fmt: skip
            number += 1
            asked_s = granted_s = granted_s + took_s


# option httplog: client [date] frontend backend/server TR/Tw/Tc/Tr/Ta status ...; logasap adds a "+".
_HAPROXY: Final = re.compile(
    r"\[(?P<date>\d+/\w+/\d+:\d+:\d+:\d+\.\d+)\] \S+ (?P<backend>[^\s/]+)/(?P<server>\S+) "
    r"(?P<TR>-?\d+)/(?P<Tw>-?\d+)/(?P<Tc>-?\d+)/(?P<Tr>-?\d+)/\+?(?P<Ta>-?\d+) (?P<status>-?\d+) "
)


def from_haproxy(
    lines: Iterable[str], *, name: str = "haproxy log", left_out: list[int] | None = None
) -> Iterator[Attempt]:
    """Yield an attempt for each request of a log of `option httplog` that reached a server.

    A request asked when it had arrived (TR after the date), waited for Tw, and ended Ta after the date. A time of -1
    did not happen. Requests without a server (`<NOSRV>`) are left out.

    Args:
        lines: of the log.
        name: of the log, for error texts.
        left_out: the numbers of lines without a server are appended to it.

    Raises:
        ConfigError: a line has another format.
    """
    number = 0
    for place, found in _matches(lines, _HAPROXY.search, name, "of option httplog"):
        if found["server"] == "<NOSRV>":
            if left_out is not None:
                left_out.append(place)
            continue
        begun_s = datetime.strptime(found["date"], "%d/%b/%Y:%H:%M:%S.%f").timestamp()
        read_s, wait_s, answer_s, all_s = (max(0, int(found[each])) / 1000 for each in ("TR", "Tw", "Tr", "Ta"))
        asked_s = begun_s + read_s
        answered = int(found["Tr"]) >= 0
        yield Attempt(
            _RUN, number, asked_s, asked_s + wait_s, max(begun_s + all_s, asked_s + wait_s),
            f"{found['backend']}/{found['server']}", task=f"line {place}", kind=found["backend"],
            outcome=_outcome(found["status"]) if answered else "failure", server_s=answer_s if answered else None,
        )  # fmt: skip
        number += 1


_TEXTS: Final = ("run", "task", "kind", "endpoint", "host", "key", "outcome")
_WHOLE: Final = ("attempt", "slots", "priority", "in_flight", "host_in_flight")
_NAMES: Final = tuple(field.name for field in fields(Attempt))


def from_csv(lines: Iterable[str], columns: Mapping[str, str], *, name: str = "csv") -> Iterator[Attempt]:
    """Yield an attempt for each row of a table with a heading.

    Args:
        lines: of the table.
        columns: the column of each field of an attempt. A field that is not given is read from the column of its own
            name, if there is one. Needed are `endpoint`, `ended_s`, and `granted_s` or `asked_s`.
        name: of the table, for error texts.

    Raises:
        ConfigError: there is no such field or column, or a value is not a number.
    """
    table = csv.DictReader(lines)
    there = list(table.fieldnames or ())
    if strangers := [field for field in columns if field not in _NAMES]:
        raise ConfigError(f"--column: there is no field {strangers[0]!r}; fields are {', '.join(_NAMES)}")
    if missing := [column for column in columns.values() if column not in there]:
        raise ConfigError(f"{name}: there is no column {missing[0]!r}; found {', '.join(there) or 'no heading'}")
    of = {field: columns.get(field, field) for field in _NAMES if columns.get(field, field) in there}
    for needed in (("endpoint",), ("ended_s",), ("granted_s", "asked_s")):
        if not any(field in of for field in needed):
            raise ConfigError(f"{name}: no column is {' or '.join(needed)}; name one with --column {needed[0]}=NAME")
    for number, row in enumerate(table):
        where = f"{name}:{number + 2}"
        given = {field: _value(field, row[column] or "", where) for field, column in of.items()}
        known: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
        known.setdefault("granted_s", known.get("asked_s"))
        known.setdefault("asked_s", known["granted_s"])
        if known["granted_s"] is None or "ended_s" not in known or "endpoint" not in known:
            raise ConfigError(f"{where}: endpoint, ended_s, and granted_s or asked_s must not be empty")
        attempt = Attempt(**{"run": _RUN, "attempt": number, **known})
        if mistake := mistake_in(attempt):
            raise ConfigError(f"{where}: {mistake}")
        yield attempt


def _value(field: str, text: str, where: str) -> Any:
    if not text.strip():
        return None
    if field in _TEXTS:
        return text.strip()
    if field == "open":
        return text.strip().lower() in ("1", "true", "yes")
    read: Callable[[str], float] = int if field in _WHOLE else float
    try:
        return read(text)
    except ValueError:
        raise ConfigError(f"{where}: {field}: found {text[:40]!r}; it must be a number") from None


def _pattern_of(log_format: str) -> re.Pattern[str]:
    names = re.findall(r"\$(\w+)", log_format)
    ends = {"msec", "time_iso8601"} & set(names)
    if missing := [name for name in _NEEDED if name not in names] or ([] if ends else ["msec"]):
        raise ConfigError(
            f"--format: found no ${missing[0]}; a log_format needs $upstream_addr, $upstream_response_time, and $msec "
            "or $time_iso8601"
        )
    pieces, seen = [], set[str]()
    for piece in re.split(r"(\$\w+)", log_format):
        name = piece[1:]
        if not piece.startswith("$"):
            pieces.append(re.escape(piece))
        elif name in seen:
            pieces.append(".*?")
        else:
            seen.add(name)
            pieces.append(f"(?P<{name}>{_TRIED if name.startswith('upstream_') else '.*?'})")
    return re.compile("".join(pieces) + r"\s*$")


def _matches(
    lines: Iterable[str], matches: Callable[[str], re.Match[str] | None], name: str, wanted: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for place, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = matches(line)
        if found is None:
            raise ConfigError(f"{name}:{place}: found {line[:60].strip()!r}, which does not have the format {wanted}")
        yield place, found.groupdict()


def _nginx_end_s(found: Mapping[str, str], where: str) -> float:
    if "msec" in found:
        return _seconds(found["msec"], where)
    try:
        return datetime.fromisoformat(found["time_iso8601"]).timestamp()
    except ValueError:
        raise ConfigError(f"{where}: found {found['time_iso8601']!r} for $time_iso8601; {_ADVICE}") from None


def _seconds(text: str, where: str) -> float:
    text = text.strip()
    if text in ("-", ""):
        return 0.0
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{where}: found {text[:40]!r}; it must be seconds; {_ADVICE}") from None


def _outcome(status: str) -> str:
    """Return the outcome of a call with this HTTP status, as a pool counts it."""
    if not status.strip().isdigit():
        return "failure"
    code = int(status)
    return "overload" if code in (429, 503) else "failure" if code >= 500 else "success" if code < 400 else "ignored"
