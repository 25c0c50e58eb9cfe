"""Access logs of Envoy, Caddy, Traefik and the Application Load Balancer of AWS.

Each is an entry of the table at the end, with one reader. docs/traces.md says what each of them tells.
"""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from balancer.observing.traces.log_lines import (
    NOWHERE,
    OTHER_SERVER,
    EndpointHealth,
    LeftOut,
    LogFormat,
    LogOptions,
    LogReader,
    Row,
    address_of,
    call,
    instant_of,
    outcome_of,
    shown_line,
)

__all__ = ["PROXIES"]

_HEALTH: Final = "of checks that changed nothing"
_OWN: Final = "of the proxy itself"


class _ProxyLog(LogReader):
    """A log with calls, and with notices about the health of endpoints."""

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._health = EndpointHealth()

    def _standing(self, name: str, at_s: float, *, up: bool, why: str = "health check") -> Iterator[Row]:
        rows = [*(self._health.up(name, at_s) if up else self._health.down(name, at_s, why))]
        if not rows:
            raise LeftOut(_HEALTH)
        yield from rows


# -- Envoy ---------------------------------------------------------------------------------------------

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
# The default of Envoy; Istio's default has three fields more after the flags.
_ENVOY: Final = re.compile(
    rf"\[(?P<start>[^\[\]]{{1,60}})\] {_QUOTED} (?P<code>\d+|-) (?P<flags>\S+) (?:\S+ (?:\S+|{_QUOTED}) {_QUOTED} )?"
    rf"(?:\d+|-) (?:\d+|-) (?P<duration>\d+|-) (?P<service>\d+|-) {_QUOTED} {_QUOTED} {_QUOTED} {_QUOTED} "
    r'"(?P<host>[^"]*)"'
)
_CLIENT_FLAGS: Final = frozenset({"DC", "DPE", "SI", "LR", "FI", "DI", "RL", "UAEX", "RLSE", "IH", "OM", "DO", "DF"})
_FAILURE_FLAGS: Final = frozenset({"UF", "URX", "UT", "UR", "UC", "UPE", "UMSDR", "LH"})
_ENVOY_KEYS: Final = {
    "START_TIME": ("start_time",),
    "DURATION": ("duration",),
    "RESPONSE_CODE": ("response_code",),
    "RESPONSE_FLAGS": ("response_flags",),
    "UPSTREAM_HOST": ("upstream_host",),
    "UPSTREAM_CLUSTER": ("upstream_cluster",),
    "SERVICE_TIME": ("upstream_service_time", "x-envoy-upstream-service-time", "resp_x_envoy_upstream_service_time"),
    "UPSTREAM_CONNECTION_POOL_READY_DURATION": ("upstream_connection_pool_ready_duration",),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": ("upstream_request_attempt_count",),
}


class _EnvoyLog(_ProxyLog):
    """Reads the default text, objects with the operators as keys, in small letters, and the log of health checks."""

    def read(self, item: str | Mapping[str, Any]) -> Iterator[Row]:
        if isinstance(item, str):
            found = _ENVOY.search(item)
            if found is None:
                raise ValueError(f"found {shown_line(item)!r}, which is not the default access log of Envoy")
            said = {
                "START_TIME": found["start"], "DURATION": found["duration"], "RESPONSE_CODE": found["code"],
                "RESPONSE_FLAGS": found["flags"], "SERVICE_TIME": found["service"], "UPSTREAM_HOST": found["host"],
            }  # fmt: skip
        elif "health_checker_type" in item:
            yield from self._check(item)
            return
        else:
            said = {operator: self._value(item, operator) for operator in _ENVOY_KEYS}
        yield from self._request(said)

    def _value(self, item: Mapping[str, Any], operator: str) -> Any:
        own = self.options.columns.get(operator)
        for key in (own,) if own else (*_ENVOY_KEYS[operator], operator):
            if key in item:
                return item[key]
        return None

    def _request(self, said: Mapping[str, Any]) -> Iterator[Row]:
        name = str(said["UPSTREAM_HOST"] or "-")
        if name in ("-", ""):
            raise LeftOut(NOWHERE)
        asked_s = instant_of(said["START_TIME"], self.options.zone)
        took_s, service_s, ready_s = (
            _milliseconds(said.get(key))
            for key in ("DURATION", "SERVICE_TIME", "UPSTREAM_CONNECTION_POOL_READY_DURATION")
        )
        if took_s is None:
            raise ValueError("found no duration; it must be milliseconds, under the key duration")
        tries = str(said.get("UPSTREAM_REQUEST_ATTEMPT_COUNT"))
        if tries.isascii() and tries.isdigit() and tries.strip("0") not in ("", "1"):
            self.notes[OTHER_SERVER] += 1
        flags = set(str(said["RESPONSE_FLAGS"] or "-").split(","))
        outcome = outcome_of(said["RESPONSE_CODE"])
        if flags & _CLIENT_FLAGS:
            outcome = "ignored"
        elif flags & _FAILURE_FLAGS:
            outcome = "failure"
        cluster = said.get("UPSTREAM_CLUSTER")
        yield call(
            address_of(name), asked_s, asked_s + took_s, outcome, granted_s=asked_s + min(ready_s or 0.0, took_s),
            kind=str(cluster) if cluster and cluster != "-" else None, server_s=service_s,
        )  # fmt: skip

    def _check(self, item: Mapping[str, Any]) -> Iterator[Row]:
        place = item["host"]["socket_address"]
        name, at_s = f"{place['address']}:{place['port_value']}", instant_of(item["timestamp"], self.options.zone)
        if "add_healthy_event" in item:
            yield from self._standing(name, at_s, up=True)
        elif "eject_unhealthy_event" in item or item.get("health_check_failure_event", {}).get("first_check"):
            yield from self._standing(name, at_s, up=False)
        else:
            raise LeftOut(_HEALTH)


def _milliseconds(value: object) -> float | None:
    return None if value in (None, "-", "") else float(str(value)) / 1000


# -- Caddy ---------------------------------------------------------------------------------------------

_GO_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "us": 1e-6, "ns": 1e-9}
_OVERHEAD_S: Final = 1e-3  # less than this before a call is Caddy's own work, no wait for an upstream
_GO: Final = re.compile(r"([\d.]+)(h|ms|m|s|µs|μs|us|ns)")


class _CaddyLog(_ProxyLog):
    """Reads access logs to which `log_append` has added the upstream, or the "upstream roundtrip" of its debug log."""

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._trips: list[Row] = []  # of the debug log; not read if the access log has upstreams
        self._calls = False

    def read(self, item: Mapping[str, Any]) -> Iterator[Row]:
        logger, said = str(item.get("logger", "")), item.get("msg")
        if logger.endswith("health_checker.active"):
            yield from self._standing(address_of(item["host"]), self._at_s(item), up=said == "host is up")
        elif logger.endswith("reverse_proxy") and said == "upstream roundtrip":
            ended_s, error = self._at_s(item), str(item.get("error", ""))
            outcome = "ignored" if "context canceled" in error else outcome_of(item.get("status", "0"))
            asked_s = ended_s - _go_seconds(item["duration"])
            self._trips.append(call(address_of(item["upstream"]), asked_s, ended_s, outcome))
        elif logger.startswith("http.log.access"):
            yield self._request(item)
        elif not logger and "status" not in item:
            raise ValueError(f"found {shown_line(json.dumps(item))!r}, which is no line of Caddy")
        else:
            raise LeftOut(_OWN)

    def _request(self, item: Mapping[str, Any]) -> Row:
        ended_s, took_s = self._at_s(item), _go_seconds(item["duration"])
        name = str(item.get(self.options.columns.get("endpoint", "upstream")) or "")
        if not name or name.startswith("{"):
            raise LeftOut(NOWHERE)
        self._calls = True
        trip, headed = item.get("upstream_duration"), item.get("upstream_latency")
        trip_s = min(_go_seconds(trip), took_s) if trip else took_s
        if took_s - trip_s < _OVERHEAD_S:
            trip_s = took_s
        status = item.get("status", 0)
        return call(
            address_of(name), ended_s - took_s, ended_s, "ignored" if status == 0 else outcome_of(status),
            granted_s=ended_s - trip_s, server_s=_go_seconds(headed) if headed else None,
        )  # fmt: skip

    def rest(self) -> Iterator[Row]:
        if not self._calls:
            yield from self._trips

    def _at_s(self, item: Mapping[str, Any]) -> float:
        value = item["ts"]
        if isinstance(value, str) and "/" in value:  # the time_format "common_log" is left to --from csv
            raise ValueError(f"found ts {value[:40]!r}; it must be a number or an ISO date")
        return instant_of(value, self.options.zone)


def _go_seconds(value: object) -> float:
    """Return the seconds of a number, or of a duration as Go writes it: "1.5s", "1m2s"."""
    if isinstance(value, int | float):
        return float(value)
    parts = _GO.findall(str(value))
    if not parts:
        return float(str(value))
    return float(sum(float(number) * _GO_UNITS[unit] for number, unit in parts))


# -- Traefik -------------------------------------------------------------------------------------------

_TRAEFIK: Final = re.compile(
    rf"\S+ \S+ \S.* \[(?P<start>\d+/\w+/\d+:\d+:\d+:\d+ [+-]\d{{4}})\] {_QUOTED} (?P<status>\d+|-) (?:\d+|-) {_QUOTED} "
    rf'{_QUOTED} (?:\d+|-) (?:{_QUOTED}|-) "(?P<url>[^"]*)" (?P<ms>\d+)ms\s*$'
)


class _TraefikLog(LogReader):
    """Reads the formats `common` and `json`, and failed health checks of its own log, if that is JSON too.

    Traefik does not say when a check succeeds again. An endpoint is back with the first call that it serves after the
    last failed check.
    """

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._failed: dict[str, list[float]] = {}
        self._served: dict[str, list[float]] = {}

    def read(self, item: str | Mapping[str, Any]) -> Iterator[Row]:
        if isinstance(item, str):
            found = _TRAEFIK.match(item)
            if found is None:
                raise ValueError(f"found {shown_line(item)!r}, which is not the format common of Traefik")
            if found["url"] in ("-", ""):
                raise LeftOut(NOWHERE)
            asked_s = datetime.strptime(found["start"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
            took_s = int(found["ms"]) / 1000
            yield call(address_of(found["url"]), asked_s, asked_s + took_s, outcome_of(found["status"]))
        elif "targetURL" in item:
            if "failed" not in item["message"]:
                raise LeftOut(_HEALTH)
            at_s = instant_of(item["time"], self.options.zone)
            self._failed.setdefault(address_of(item["targetURL"]), []).append(at_s)
        elif "DownstreamStatus" in item or "Duration" in item:
            yield self._request(item)
        elif "message" in item and "level" in item:
            raise LeftOut(_OWN)
        else:
            raise ValueError(f"found {shown_line(json.dumps(item))!r}, which is not the format json of Traefik")

    def _request(self, item: Mapping[str, Any]) -> Row:
        name = item.get("ServiceAddr") or item.get("ServiceURL")
        if not name:
            raise LeftOut(NOWHERE)
        asked_s = instant_of(item.get("StartUTC") or item["StartLocal"], self.options.zone)
        origin_ns, service = item.get("OriginDuration"), item.get("ServiceName")
        if item.get("RetryAttempts", 0) > 0:
            self.notes[OTHER_SERVER] += 1
        found = call(
            address_of(name), asked_s, asked_s + item["Duration"] / 1e9, outcome_of(item["DownstreamStatus"]),
            kind=str(service) if service else None, server_s=origin_ns / 1e9 if origin_ns else None,
        )  # fmt: skip
        if found.outcome == "success":
            self._served.setdefault(found.endpoint, []).append(found.granted_s)
        return found

    def rest(self) -> Iterator[Row]:
        for name, failed in self._failed.items():
            served, health = sorted(self._served.get(name, ())), EndpointHealth()
            for at_s, later_s in pairwise([*sorted(failed), math.inf]):
                yield from health.down(name, at_s, "health check")
                after = bisect_right(served, at_s + 1)  # the log has whole seconds
                if after < len(served) and served[after] < later_s:
                    yield from health.up(name, served[after])


# -- the Application Load Balancer of AWS --------------------------------------------------------------

_FIELD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_ALB: Final = re.compile(r"(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT[\d:.]+Z \S+ \S+ \S+ -?[\d.]+ ")


class _AlbLog(LogReader):
    """Reads entries of access logs. The time from the request to the target is that of receiving it, no wait."""

    def read(self, item: str) -> Iterator[Row]:
        if not _ALB.match(item):
            raise ValueError(f"found {shown_line(item)!r}, which is no access log entry of an ALB")
        fields = [quoted or plain for quoted, plain in _FIELD.findall(item)]
        target, status, told = fields[4], fields[8], fields[9]
        if target == "-":
            raise LeftOut(NOWHERE)
        received_s, served_s, answered_s = (float(each) for each in fields[5:8])
        ended_s = instant_of(fields[1])
        if len(fields) > 21:
            asked_s = instant_of(fields[21]) + max(0.0, received_s)
        else:
            asked_s = ended_s - max(0.0, served_s) - max(0.0, answered_s)
        outcome = outcome_of(status) if told != "-" or status == "460" else "failure"
        yield call(target, asked_s, ended_s, outcome, server_s=served_s if served_s >= 0 else None)


PROXIES: Final = (
    LogFormat(
        "envoy", "lines", lambda line: _ENVOY.search(line) is not None, _EnvoyLog, "Envoy (the default access log)"
    ),
    LogFormat(
        "envoy-json", "json",
        lambda item: "health_checker_type" in item or {"upstream_host", "duration", "start_time"} <= set(item),
        _EnvoyLog, "Envoy (json_format with start_time, duration, response_code, response_flags, upstream_host)",
    ),
    LogFormat(
        "caddy", "json", lambda item: "logger" in item and "ts" in item and str(item["logger"]).startswith("http."),
        _CaddyLog, "Caddy (JSON)",
    ),
    LogFormat(
        "traefik", "lines", lambda line: _TRAEFIK.match(line) is not None, _TraefikLog, "Traefik (common)"
    ),
    LogFormat(
        "traefik-json", "json", lambda item: "DownstreamStatus" in item or "targetURL" in item, _TraefikLog,
        "Traefik (json)",
    ),
    LogFormat(
        "alb", "lines", lambda line: _ALB.match(line) is not None, _AlbLog, "an Application Load Balancer of AWS"
    ),
)  # fmt: skip
"""The formats of these programs."""
