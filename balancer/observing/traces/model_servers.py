"""Request logs of model servers and gateways: LiteLLM's spend logs, SGLang and vLLM.

Prompts, answers, keys and users stay out. docs/traces.md says what each of them tells.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from balancer.observing.traces.log_lines import (
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

__all__ = ["MODEL_SERVERS"]

_OTHER: Final = "of other kinds"


# -- LiteLLM -------------------------------------------------------------------------------------------


class _LiteLlmLog(LogReader):
    """Reads rows of the table LiteLLM_SpendLogs, as CSV, as lines of JSON or as an array. Their times are UTC."""

    def read(self, item: Mapping[str, Any]) -> Iterator[Row]:
        if not {"startTime", "endTime"} <= set(item):
            raise ValueError(f"found {shown_line(json.dumps(item, default=str))!r}, which has no startTime and endTime")
        if str(item.get("cache_hit")).lower() == "true":
            raise LeftOut("of answers from the cache")
        name = address_of(item.get("api_base") or "") or str(item.get("model_id") or "")
        if not name:
            raise LeftOut("without a deployment")
        asked_s, ended_s = (instant_of(item[key], UTC) for key in ("startTime", "endTime"))
        tokens = float(item.get("total_tokens") or 0)
        model = item.get("model_group") or item.get("model")
        yield call(
            name, asked_s, ended_s, _litellm_outcome(item), kind=str(model) if model else None, size=tokens or None
        )


def _litellm_outcome(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata") or {}
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    status = item.get("status") or metadata.get("status") or "success"
    if status != "failure":
        return "success"
    code = (metadata.get("error_information") or {}).get("error_code")
    return outcome_of(code) if code and outcome_of(code) != "success" else "failure"


# -- SGLang --------------------------------------------------------------------------------------------

_FINISH: Final = re.compile(r"\bFinish: obj=.*'meta_info': \{")
_META: Final = re.compile(
    r"'(e2e_latency|queue_time|request_received_ts|request_finished_ts|prompt_tokens|completion_tokens)': "
    r"(-?[\d.]+(?:e-?\d+)?)"
)
_ABORT: Final = re.compile(
    r"'finish_reason': \{'type': '(\w+)'(?:[^{}]*'status_code': (?:HTTPStatus\.\w+|<[^>]*?)?(\d+))?"
)
_STAMP: Final = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)")


class _SglangLog(LogReader):
    """Reads finished requests of `--log-requests` as text or JSON, and of `--export-metrics-to-file`.

    A log has one server, which does not say its name.
    """

    def read(self, item: str | Mapping[str, Any]) -> Iterator[Row]:
        if isinstance(item, str):
            if "Receive: obj=" in item or not _FINISH.search(item):
                if _STAMP.match(item):
                    raise LeftOut(_OTHER)
                raise ValueError(f"found {shown_line(item)!r}, which is no line of SGLang")
            told = item[item.rindex("'meta_info': {") :]  # texts of callers come before it
            meta: dict[str, Any] = {key: float(value) for key, value in _META.findall(told)}
            reason, stamp = _ABORT.search(told), _STAMP.match(item)
            if reason is not None:
                meta["finish_reason"] = {"type": reason[1], "status_code": reason[2]}
            at_s = instant_of(stamp[1], self.options.zone) if stamp else None
        else:
            if item.get("event", "request.finished") != "request.finished":
                raise LeftOut(_OTHER)
            meta = item["out"]["meta_info"] if "out" in item else dict(item)
            at_s = instant_of(item["timestamp"], self.options.zone) if "timestamp" in item else None
        yield self._finished(meta, at_s)

    def _finished(self, meta: Mapping[str, Any], at_s: float | None) -> Row:
        took_s, begun_s, done_s = (
            float(meta[key]) if meta.get(key) else None
            for key in ("e2e_latency", "request_received_ts", "request_finished_ts")
        )
        ended_s = done_s or at_s
        if ended_s is None or (took_s is None and begun_s is None):
            raise ValueError("found no request_finished_ts or date, or no e2e_latency")
        asked_s = begun_s if begun_s is not None else ended_s - (took_s or 0.0)
        if took_s is not None and begun_s is not None:
            ended_s = begun_s + took_s
        queued_s = max(0.0, float(meta.get("queue_time") or 0.0))
        size = float(meta.get("prompt_tokens") or 0) + float(meta.get("completion_tokens") or 0)
        reason = meta.get("finish_reason") or {}
        outcome = "success"
        if isinstance(reason, Mapping) and reason.get("type") == "abort":
            outcome = outcome_of(reason["status_code"]) if reason.get("status_code") else "ignored"
        return call("sglang", asked_s, ended_s, outcome, granted_s=min(asked_s + queued_s, ended_s), size=size or None)


# -- vLLM ----------------------------------------------------------------------------------------------

_VLLM: Final = re.compile(
    r"(?:\x1b\[[\d;]*m)*(?:\([^)]*\) )?(?:\x1b\[[\d;]*m)*(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)(?:\x1b\[[\d;]*m)* "
    r"(?:\x1b\[[\d;]*m)*(?P<date>\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(?P<ms>\d+))?(?:\x1b\[[\d;]*m)* "
    r"(?:\x1b\[[\d;]*m)*\[[^\]]*\](?:\x1b\[[\d;]*m)* (?P<said>.*)"
)
_RECEIVED: Final = re.compile(r"Received request (\S+): ")
_GENERATED: Final = re.compile(r"Generated response (\S+?)(?: \(streaming (\w+)\))?: .*?(?:finish_reason: (\S+?))?\.?$")
_PART: Final = re.compile(r"-\d+$")


class _VllmLog(LogReader):
    """Reads the pairs "Received request" and "Generated response" of one server.

    They need `--enable-log-requests` and `--enable-log-outputs`. Their times are whole seconds, without a year.
    """

    def __init__(self, options: LogOptions) -> None:
        super().__init__(options)
        self._begun: dict[str, float] = {}
        self._year = datetime.now(options.zone).year
        self._last_s = 0.0

    def read(self, item: str) -> Iterator[Row]:
        found = _VLLM.match(item)
        if found is None:
            if item.startswith(("INFO:", "WARNING:", "ERROR:", "(")):
                raise LeftOut("of the HTTP server, which have no times")
            raise ValueError(f"found {shown_line(item)!r}, which is no line of vLLM")
        at_s = self._time_of(found["date"], found["ms"])
        if (received := _RECEIVED.match(found["said"])) is not None:
            self._begun.setdefault(_PART.sub("", received[1]), at_s)
            return
        generated = _GENERATED.match(found["said"])
        if generated is None or generated[2] == "delta":
            raise LeftOut(_OTHER)
        begun_s = self._begun.pop(_PART.sub("", generated[1]), None)
        if begun_s is None:
            raise LeftOut("of the end of a request whose beginning is not there")
        reason = generated[3]
        outcome = "ignored" if reason == "abort" else "failure" if reason == "error" else "success"
        yield call("vllm", begun_s, at_s, outcome)

    def rest(self) -> Iterator[Row]:
        for begun_s in self._begun.values():
            yield call("vllm", begun_s, self._last_s, None, open=True)

    def _time_of(self, text: str, ms: str | None) -> float:
        at_s = self._in_year(text)
        if at_s < self._last_s - 86400 * 180:  # a year has ended
            self._year += 1
            at_s = self._in_year(text)
        self._last_s = max(self._last_s, at_s)
        return at_s + (float(f"0.{ms}") if ms else 0.0)

    def _in_year(self, text: str) -> float:
        date = datetime.strptime(f"{self._year}-{text}", "%Y-%m-%d %H:%M:%S")
        return date.replace(tzinfo=self.options.zone).timestamp()


def _looks_litellm(item: Mapping[str, Any]) -> bool:
    return {"startTime", "endTime", "api_base"} <= set(item)


def _looks_sglang(item: Mapping[str, Any]) -> bool:
    return str(item.get("event", "")).startswith("request.") or {"request_parameters", "e2e_latency"} <= set(item)


MODEL_SERVERS: Final = (
    LogFormat("litellm", "json", _looks_litellm, _LiteLlmLog, "LiteLLM_SpendLogs (JSON)"),
    LogFormat("litellm-csv", "csv", _looks_litellm, _LiteLlmLog, "LiteLLM_SpendLogs (CSV)"),
    LogFormat(
        "sglang", "lines", lambda line: _FINISH.search(line) is not None, _SglangLog, "SGLang (--log-requests)"
    ),
    LogFormat(
        "sglang-json", "json", _looks_sglang, _SglangLog,
        "SGLang (--log-requests-format json, or --export-metrics-to-file)",
    ),
    LogFormat(
        "vllm", "lines",
        lambda line: (found := _VLLM.match(line)) is not None
        and (_RECEIVED.match(found["said"]) or _GENERATED.match(found["said"])) is not None,
        _VllmLog, "vLLM (--enable-log-requests --enable-log-outputs)",
    ),
)  # fmt: skip
"""The formats of these programs."""
