"""OpenTelemetry spans as calls: client spans of OTLP JSON, with the semantic conventions of HTTP, RPC and GenAI."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from balancer.observing.traces.log_lines import (
    LeftOut,
    LogFormat,
    LogOptions,
    LogReader,
    Row,
    address_of,
    call,
    outcome_of,
)
from balancer.values.redaction import plain_name

__all__ = ["OTLP"]

_CLIENT: Final = (3, "SPAN_KIND_CLIENT")
_ERROR: Final = (2, "STATUS_CODE_ERROR")
_HOSTS: Final = ("server.address", "net.peer.name", "http.host", "net.peer.ip")
_STATUSES: Final = ("http.response.status_code", "http.status_code")
_TOKENS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
_CANCELLED: Final = re.compile(r"(?i)cancell?ed")


class _OtlpLog(LogReader):
    """Reads lines of the file exporter, or a request to a collector: objects with resourceSpans.

    Spans of balancer itself also tell the wait and the outcome. Of a client span within another one, as that of an
    HTTP client within that of a model's client, only the inner one is a call.
    """

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._calls: list[tuple[str, Row]] = []
        self._parents: set[str] = set()

    def read(self, item: Mapping[str, Any]) -> Iterator[Row]:
        found = [(span, row) for span in _spans_in(item) if (row := self._call(span)) is not None]
        for span, row in found:
            self._calls.append((str(span.get("spanId") or ""), row))
            self._parents.add(str(span.get("parentSpanId") or ""))
        if not found:
            raise LeftOut("without a span of a client")
        return iter(())

    def rest(self) -> Iterator[Row]:
        for span, row in self._calls:
            if span and span in self._parents:
                self.notes["spans of clients that have another client's span within"] += 1
            else:
                yield row

    def _call(self, span: Mapping[str, Any]) -> Row | None:
        said = {each["key"]: _value(each.get("value") or {}) for each in span.get("attributes") or ()}
        if span.get("kind") not in _CLIENT:
            self.notes["spans that are not of a client"] += 1
            return None
        begun_s, ended_s = (int(span[key]) / 1e9 for key in ("startTimeUnixNano", "endTimeUnixNano"))
        trace = str(span.get("traceId") or "") or None
        if (name := said.get("balancer.endpoint")) is not None:
            waited_s = float(said.get("balancer.waited_s") or 0.0)
            return call(
                plain_name(str(name)), begun_s - waited_s, ended_s,
                str(said.get("balancer.outcome") or "success"), granted_s=begun_s, task=trace,
                slots=int(said.get("balancer.slots") or 1),
            )  # fmt: skip
        host = next((str(said[key]) for key in _HOSTS if said.get(key)), "")
        if not host:
            self.notes["spans of clients without the name of a server (server.address)"] += 1
            return None
        port = said.get("server.port", said.get("net.peer.port"))
        model, tokens = said.get("gen_ai.request.model"), sum(float(said.get(key) or 0) for key in _TOKENS)
        return call(
            address_of(f"{host}:{port}" if port else host), begun_s, ended_s, _outcome(span, said), task=trace,
            kind=str(model) if model else None, size=tokens or None,
        )  # fmt: skip


def _spans_in(item: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for resource in item["resourceSpans"]:
        for scope in resource.get("scopeSpans") or resource.get("instrumentationLibrarySpans") or ():
            yield from scope.get("spans") or ()


def _value(value: Mapping[str, Any]) -> Any:
    return next((each for key, each in value.items() if key.endswith("Value") and not isinstance(each, dict)), None)


def _outcome(span: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    status = next((said[key] for key in _STATUSES if said.get(key)), None)
    if status is not None:
        return outcome_of(status)
    if (span.get("status") or {}).get("code") not in _ERROR and not said.get("error.type"):
        return "success"
    return "ignored" if _CANCELLED.search(str(said.get("error.type") or "")) else "failure"


OTLP: Final = LogFormat(
    "otlp", "json", lambda item: isinstance(item.get("resourceSpans"), list), _OtlpLog, "OTLP JSON (resourceSpans)"
)
"""A span of a client is a call: its wait is not known."""
