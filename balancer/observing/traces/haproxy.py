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
    LogOptions,
    LogReader,
    Row,
    call,
    outcome_of,
    retry,
)
from balancer.observing.traces.rows import Happening

__all__ = ["HAProxy"]

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
_SERVER: Final = re.compile(
    r"\bServer (?P<name>[^\s/]+/\S+) (?:\('[^']*'\) )?"
    r"(?:is (?P<state>DOWN|UP)\b|(?:is|was|enters|remains) )(?P<more>.*)"
)
_REASON: Final = re.compile(r"reason: ([^,:]+)")
# What a request of a client can also say comes after a colon, a bracket or the header, not within a request line.
_OTHER: Final = re.compile(
    rf"{_DATE}\.\d+\] \S+: |\b(?:Health|Agent) check for (?:backup )?server |\bhas no server available|"
    r"\b(?:Proxy \S+ (?:hard-)?(?:started|stopped)|Stopping|Pausing|Resuming|Loading success|haproxy version|"
    r"path to executable|[Ww]orkers? |Exiting|Reexecuting|Reloading|Initializing|config : )"
)
_TIMELESS: Final = re.compile(r"\bConnect from \S+ to \S+ \(\S+/(?:HTTP|TCP)\)")
_OTHER_SERVER: Final = "calls with retries at a server that the log does not name"
_CLIENT_LEFT: Final = "of clients that left while they waited"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class HAProxy(LogReader):
    """Reads requests and notices. The time of a notice is in its header, if that has an ISO date; else it is that of
    the request before.

    Of a request, `asked_s` is the date + TR, `granted_s` is Tw later, `ended_s` is the date + Ta, `server_s` is Tr.
    """

    name = "haproxy"
    expects = "HAProxy (option httplog, httpslog, tcplog, and its notices)"

    @staticmethod
    def looks(line: str) -> bool:
        return any(pattern.search(line) for pattern in (_HTTP, _TCP, _SERVER, _TIMELESS))

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._last_s: float | None = None  # when the last request ended
        self._down: set[str] = set()

    def read(self, item: str) -> Iterator[Row]:
        if (found := _HTTP.search(item) or _TCP.search(item)) is not None:
            yield from self._request(found.groupdict())
        elif (found := _SERVER.search(item)) is not None:
            yield from self._notice(self._time_of(item), **found.groupdict())
        elif _TIMELESS.search(item):
            raise LeftOut("of the default format, which has no times")
        elif _OTHER.search(item):
            raise LeftOut("of single checks, starts, stops, and connections without a request")
        else:
            raise ValueError("it is neither a call nor a notice of a server")

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

    def _notice(self, at_s: float | None, name: str, state: str | None, more: str) -> Iterator[Row]:
        """Yield what the checks found. An ejection has no length, because it lasts until a later notice."""
        if at_s is None:
            raise LeftOut("of notices before the first request, without a time")
        if state == "DOWN" and name not in self._down:
            self._down.add(name)
            reason = _REASON.search(more)
            yield Happening(RUN, at_s, "ejected", name, name=reason[1].strip() if reason else "down")
        elif state == "UP" and name in self._down:
            self._down.remove(name)
            yield Happening(RUN, at_s, "restored", name)
        else:
            raise LeftOut("of notices of maintenance, or that changed nothing")

    def _time_of(self, line: str) -> float | None:
        """Return when a notice was written; None if that is not known yet."""
        if (found := _ISO.match(line)) is None:
            return self._last_s
        date = datetime.fromisoformat(found[1].replace(",", "."))
        return (date if date.tzinfo else date.replace(tzinfo=self.options.zone)).timestamp()

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
