"""HAProxy logs: httplog, httpslog and tcplog, with or without a syslog header, and notices about servers.

The formats are those of the configuration manual (8.2 and 8.4 of HAProxy 3.0), notices those of its sources.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from balancer.observing.traces.log_lines import (
    NOWHERE,
    RUN,
    LeftOut,
    LogFormat,
    LogOptions,
    LogReader,
    Row,
    call,
    outcome_of,
    retry,
    shown_line,
)
from balancer.observing.traces.rows import Happening

__all__ = ["HAPROXY"]

_DATE: Final = r"\[(?P<date>\d{1,2}/\w{3}/\d{4}:\d\d:\d\d:\d\d)"
_WHERE: Final = r"\] \S+ (?P<backend>[^\s/]+)/(?P<server>\S+) "
_COUNTS: Final = r" \d+/\d+/\d+/\d+/(?P<again>\+?\d+) (?P<queued>\d+/\d+)"
_HTTP: Final = re.compile(
    rf"{_DATE}\.(?P<ms>\d+){_WHERE}(?P<TR>-?\d+)/(?P<Tw>-?\d+)/(?P<Tc>-?\d+)/(?P<Tr>-?\d+)/(?P<Ta>\+?-?\d+) "
    rf"(?P<status>-?\d+) \+?\d+ \S+ \S+ (?P<flags>\S{{2,4}}){_COUNTS}"
)
_TCP: Final = re.compile(
    rf"{_DATE}\.(?P<ms>\d+){_WHERE}(?P<Tw>-?\d+)/(?P<Tc>-?\d+)/(?P<Ta>\+?-?\d+) \+?\d+ (?P<flags>\S\S){_COUNTS}"
)
_ISO: Final = re.compile(r"(?:<\d+>)?(?:1 )?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)[\s:]")
_BSD: Final = re.compile(r"(?:<\d+>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)(\.\d+)?\s")
_SERVER: Final = re.compile(
    r"\bServer (?P<name>[^\s/]+/\S+) (?:\('[^']*'\) )?(?P<what>is DOWN|is UP|is stopping|is going DOWN for maintenance|"
    r"was DOWN and now enters maintenance|enters drain state|remains in|is leaving|resolves again|administratively)"
    r"(?P<more>.*)"
)
_AWAY: Final = {
    "is going DOWN for maintenance": "maintenance",
    "was DOWN and now enters maintenance": "maintenance",
    "enters drain state": "drain",
    "is stopping": "stopping",
}
_REASON: Final = re.compile(r"reason: ([^,:]+)")
# What a request of a client can also say comes after a colon, a bracket or the header, not within a request line.
_OTHER: Final = {
    "of single checks of servers": re.compile(r"\b(?:Health|Agent) check for (?:backup )?server "),
    "of the default format, which has no times": re.compile(r"\bConnect from \S+ to \S+ \(\S+/(?:HTTP|TCP)\)"),
    "of connections without a request": re.compile(rf"{_DATE}\.\d+\] \S+: "),
    "of backends without a server": re.compile(r"\bhas no server available"),
    "of starts, stops and reloads": re.compile(
        r"\b(?:Proxy \S+ (?:hard-)?(?:started|stopped)|Stopping|Pausing|Resuming|Loading success|haproxy version|"
        r"path to executable|[Ww]orkers? |Exiting|Reexecuting|Reloading|Initializing|config : )"
    ),
}
_OTHER_SERVER: Final = "calls with retries at a server that the log does not name"
_CLIENT_LEFT: Final = "of clients that left while they waited"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _HAProxyLog(LogReader):
    """Reads requests and notices. The time of a notice is in its header, if there is one; else it is that of the line
    before.
    """

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._last_s: float | None = None  # when the last request ended
        self._down: set[str] = set()
        self._away: dict[str, str] = {}  # taken out of service, and why

    def read(self, item: str) -> Iterator[Row]:
        if (found := _HTTP.search(item) or _TCP.search(item)) is not None:
            yield from self._request(found.groupdict())
        elif (found := _SERVER.search(item)) is not None:
            at_s = self._time_of(item)
            if at_s is None:
                raise LeftOut("of notices before the first request, without a time")
            yield from self._notice(at_s, **found.groupdict())
        else:
            for kind, pattern in _OTHER.items():
                if pattern.search(item):
                    raise LeftOut(kind)
            raise ValueError(f"found {shown_line(item)!r}, which is no line of {_EXPECTS}")

    def _request(self, found: dict[str, str | None]) -> Iterator[Row]:
        begun_s = self._date(str(found["date"])) + int(found["ms"] or 0) / 1000
        took = {name: int((found.get(name) or "-1").lstrip("+")) / 1000 for name in ("TR", "Tw", "Tc", "Tr", "Ta")}
        asked_s = begun_s + max(0.0, took["TR"])
        # Tw has the pauses before retries, too. Who was in no queue did not wait.
        again, queued = str(found["again"]), any(int(each) for each in re.findall(r"\d+", str(found["queued"])))
        granted_s = asked_s + (max(0.0, took["Tw"]) if queued or again == "0" else 0.0)
        ended_s = max(begun_s + max(0.0, took["Ta"]), granted_s)
        self._last_s = max(self._last_s or 0.0, ended_s)
        flags, backend, server = str(found["flags"]), found["backend"], str(found["server"])
        if flags.startswith("sQ"):
            yield Happening(RUN, ended_s, "gave_up", value=ended_s - asked_s)
            return
        if flags[1] == "Q" or server in ("<NOSRV>", "<STATS>", ""):
            raise LeftOut(_CLIENT_LEFT if flags[:2] in ("CQ", "cQ") else NOWHERE)
        name = f"{backend}/{server}"
        outcome = _outcome(flags, found.get("status"), answered=took["Tr"] >= 0)
        if again.startswith("+"):
            self.notes[_OTHER_SERVER] += 1
        elif tries := min(int(again), 100):
            connected_s = granted_s + took["Tc"] if took["Tc"] >= 0 else ended_s
            part_s = (connected_s - granted_s) / (tries + 1)
            for _ in range(tries):  # each try at the same server; the log has only the time of all together
                yield call(name, asked_s, granted_s + part_s, "failure", granted_s=granted_s, kind=backend)
                asked_s = granted_s = granted_s + part_s
                yield retry(granted_s, name)
        cut = str(found["Ta"]).startswith("+")  # option logasap: the answer went on
        yield call(
            name, asked_s, ended_s, None if cut else outcome, granted_s=granted_s, kind=backend, open=cut,
            server_s=took["Tr"] if took["Tr"] >= 0 else None,
        )  # fmt: skip

    def _notice(self, at_s: float, name: str, what: str, more: str) -> Iterator[Row]:
        """Yield the events of a notice. An ejection has no length, because it lasts until a later notice."""
        before = name in self._down, name in self._away
        reason = _REASON.search(more)
        if what == "is DOWN" and name not in self._down:
            self._down.add(name)
            yield Happening(RUN, at_s, "ejected", name, name=reason[1].strip() if reason else "down")
        elif what == "is UP" and name in self._down:
            self._down.remove(name)
            yield Happening(RUN, at_s, "restored", name)
        why = _AWAY.get(what) or ("drain" if more.startswith("/DRAIN") else "")
        back = re.search("leaving|resolves again", more) or (what == "is UP" and self._away.get(name) == "stopping")
        if why:
            if self._away.setdefault(name, why) is why and not before[1]:
                yield Happening(RUN, at_s, "drained", name, name=why)
        elif back and name in self._away:
            del self._away[name]
            yield Happening(RUN, at_s, "joined", name)
        if before == (name in self._down, name in self._away):
            raise LeftOut("of notices that changed nothing")

    def _time_of(self, line: str) -> float | None:
        """Return when a notice was written; None if that is not known yet."""
        if (found := _ISO.match(line)) is not None:
            date = datetime.fromisoformat(found[1].replace(",", "."))
            return (date if date.tzinfo else date.replace(tzinfo=self.options.zone)).timestamp()
        if (found := _BSD.match(line)) is None or self._last_s is None:
            return self._last_s
        last = datetime.fromtimestamp(self._last_s, self.options.zone)
        second_s = min(
            (self._in_year(found[1], last.year + more) for more in (-1, 0, 1)),
            key=lambda at_s: abs(at_s - (self._last_s or 0.0)),
        )
        if found[2]:
            return second_s + float(found[2])
        # The header has whole seconds only. The notice was written after the line before.
        return self._last_s if second_s <= self._last_s < second_s + 1 else second_s

    def _in_year(self, text: str, year: int) -> float:
        month, day, clock = _MONTHS.index(text[:3]) + 1, int(text[4:6]), text[7:]
        if (month, day) == (2, 29) and (year % 4 or (year % 100 == 0 and year % 400)):
            return float("inf")
        hour, minute, second = (int(each) for each in clock.split(":"))
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=self.options.zone).timestamp()

    def _date(self, text: str) -> float:
        day, month, rest = text.split("/")
        year, hour, minute, second = (int(each) for each in rest.split(":"))
        at = (year, _MONTHS.index(month) + 1, int(day), hour, minute, min(second, 59))
        return datetime(*at, tzinfo=self.options.zone).timestamp()


def _outcome(flags: str, status: str | None, *, answered: bool) -> str:
    """Return the outcome by the first two termination flags: who ended the session, and when."""
    who = flags[0]
    if who in "CcUKRIL" or flags[:2] in ("PR", "PC", "PT"):  # client, administrator, or HAProxy for its own reasons
        return "ignored"
    if who in "SsPD":
        return "failure"
    if status is None:  # TCP: nothing but the end of the connection is known
        return "success"
    return outcome_of(status) if answered else "failure"


_EXPECTS: Final = "HAProxy (option httplog, httpslog, tcplog, and its notices)"


def _looks(line: str) -> bool:
    return any(pattern.search(line) for pattern in (_HTTP, _TCP, _SERVER)) or (
        "Connect from" in line and _OTHER["of the default format, which has no times"].search(line) is not None
    )


HAPROXY: Final = LogFormat("haproxy", "lines", _looks, _HAProxyLog, _EXPECTS)
"""Requests: `asked_s` is the date + TR, `granted_s` is Tw later, `ended_s` is the date + Ta, `server_s` is Tr."""
