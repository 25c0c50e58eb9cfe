"""nginx access logs with upstreams, in any `log_format` that has their addresses and times."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from balancer.errors import ConfigError
from balancer.observing.traces.log_lines import (
    NOWHERE,
    LeftOut,
    LogOptions,
    LogReader,
    Row,
    call,
    instant_of,
    outcome_of,
    retry,
    shown_line,
)

__all__ = ["NGINX_FORMAT", "Nginx"]

NGINX_FORMAT: Final = "$msec $status $request_time $upstream_addr $upstream_response_time"
"""The expected `log_format`. Another one must have at least these five names, in any order."""

_ADVICE: Final = "give the log_format that wrote it, with --format"
_NEEDED: Final = ("upstream_addr", "upstream_response_time")
# nginx writes a value for each upstream that it tried, separated by ", ", or by " : " after a redirect.
_SEVERAL: Final = re.compile(r", | : ")
_TRIED: Final = r"[^\s,]+(?:(?:,| :) [^\s,]+)*"
_ERROR_LOG: Final = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: ")
_LEFT: Final = "499"
_LOOKS: Final = re.compile(r"\d{9,11}\.\d{3} \d{3} \d+\.\d{3} \S.* [\d.-]+\s*$")


class Nginx(LogReader):
    """Yields an attempt for each upstream that a request was sent to. They follow each other; the last ends with the
    request, at `$msec` or `$time_iso8601`.
    """

    name = "nginx"
    expects = "nginx, in the log_format of --format"

    @staticmethod
    def looks(line: str) -> bool:
        return _LOOKS.match(line) is not None

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._format = options.log_format or NGINX_FORMAT
        self._pattern = _pattern_of(self._format)

    def read(self, item: str) -> Iterator[Row]:
        if _ERROR_LOG.match(item):
            raise LeftOut("of nginx's error log")
        match = self._pattern.match(item)
        if match is None:
            raise ValueError(f"found {shown_line(item)!r}, which does not have the format {self._format!r}; {_ADVICE}")
        found = match.groupdict()
        addresses = _SEVERAL.split(found["upstream_addr"].strip())
        if not any(":" in address for address in addresses):  # "-", or the name of a group without a live server
            raise LeftOut(NOWHERE)
        ended_s = self._ended_s(found)
        taken = [_seconds(text) for text in _SEVERAL.split(found["upstream_response_time"].strip())]
        if len(taken) != len(addresses):
            raise ValueError(f"found {len(addresses)} upstreams and {len(taken)} upstream times; {_ADVICE}")
        _seconds(found.get("request_time", "-"))  # no more than a check that the format is the right one
        begun_s = ended_s - sum(taken)  # the rest of $request_time went to the client: nginx has no queue
        tries = zip(addresses, taken, _outcomes(found, len(taken)), strict=True)
        for number, (address, took_s, outcome) in enumerate(each for each in tries if ":" in each[0]):
            if number:
                yield retry(begun_s, address)
            host = address if address.startswith("unix:") else address.rpartition(":")[0]
            yield call(address, begun_s, begun_s + took_s, outcome, host=host)
            begun_s += took_s

    def _ended_s(self, found: Mapping[str, str]) -> float:
        if "msec" in found:
            return _seconds(found["msec"])
        try:
            return instant_of(found["time_iso8601"], self.options.zone)
        except ValueError:
            raise ValueError(f"found {found['time_iso8601'][:40]!r} for $time_iso8601; {_ADVICE}") from None


def _outcomes(found: Mapping[str, str], tries: int) -> list[str]:
    """Return the outcome of each try: by its own status, if there is one; else all but the last have failed."""
    statuses = _SEVERAL.split(found.get("upstream_status", found.get("status", "200")).strip())
    last = found.get("status", "").strip()
    if len(statuses) == tries and tries > 1:
        outcomes = [outcome_of(status) for status in statuses]
    else:
        outcomes = ["failure"] * (tries - 1) + [outcome_of(statuses[-1])]
    if last == _LEFT:  # the client left during the last try
        outcomes[-1] = "ignored"
    return outcomes


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


def _seconds(text: str) -> float:
    text = text.strip()
    if text in ("-", ""):
        return 0.0
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"found {text[:40]!r}; it must be seconds; {_ADVICE}") from None
