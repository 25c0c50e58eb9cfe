"""Outages that the notices of a proxy tell, in a fit."""

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from balancer_simulator.fitting.fit import Fit, fit_trace

from balancer.observing.traces import Attempt, Happening, Trace, read_trace, write_trace
from balancer.observing.traces.importers import LogOptions, import_logs

LOGS = Path(__file__).parents[1] / "logs"


def call(at_s: float, *, ok: bool = True, held_s: float = 0.1, endpoint: str = "a", attempt: int = 0) -> Attempt:
    return Attempt("r", attempt, at_s, at_s, at_s + held_s, endpoint, outcome="success" if ok else "failure")


def fitted(attempts: list[Attempt], *events: tuple[float, str, float | None]) -> Fit:
    told = [Happening("r", at_s, event, "a", value) for at_s, event, value in events]
    return fit_trace(Trace(attempts=attempts, events=told, ended={"r"}))


CALLS = [call(n / 2) for n in range(41)] + [call(30 + n / 2) for n in range(61)]  # none from 20.1 s to 30 s


def test_an_outage_is_as_long_as_notices_say_and_not_as_calls_show():
    troubles = fitted(CALLS, (20.3, "ejected", None), (29.9, "restored", None)).endpoints["a"].troubles
    (outage,) = troubles.outages
    assert (outage.from_s, outage.to_s, outage.over) == pytest.approx((20.3, 29.9, True))
    assert troubles.mttr_s == pytest.approx(9.6)


def test_calls_that_failed_before_the_notice_are_of_the_outage():
    refused = [call(20.2 + n / 10, ok=False, held_s=0.001) for n in range(5)]
    found = fitted([*CALLS, *refused], (20.7, "ejected", None), (29.9, "restored", None)).endpoints["a"]
    (outage,) = found.troubles.outages
    assert outage.to_s - outage.from_s == pytest.approx(9.4, abs=0.3)
    assert found.troubles.quick_part == 0
    assert len(found.sound) == len(CALLS)


def test_a_request_that_a_proxy_tried_four_times_is_one_arrival_and_one_without_a_name_is_each_time():
    named = [replace(each, task=f"request {n}") for n, each in enumerate(CALLS)]
    again = [replace(call(20.2, ok=False, held_s=0.001), task="request 200") for _ in range(4)]
    fit = fitted([*named, *again])
    assert len(fit.caller_pattern.at_s) == len(CALLS) + 1
    assert fit.scenario().requests.attempts == 4
    twice = fitted([*named, *(replace(each, granted_s=each.granted_s + 40, ended_s=each.ended_s + 40,
                                      asked_s=each.asked_s + 40) for each in named[:20])])  # fmt: skip
    assert len(twice.caller_pattern.at_s) == len(CALLS) + 20  # a task that asks again after an answer
    nameless = fitted([*CALLS, *(replace(each, task=None) for each in again)])
    assert len(nameless.caller_pattern.at_s) == len(CALLS) + 4
    assert nameless.scenario().requests.attempts == 1


def test_one_that_is_not_over_lasts_until_the_end():
    calls = [*CALLS, call(90, endpoint="b")]
    (outage,) = fitted(calls, (60.2, "ejected", None)).endpoints["a"].troubles.outages
    assert (outage.to_s, outage.over) == (pytest.approx(90.1), False)


def test_ejections_of_a_pool_have_a_length_and_are_no_outages():
    assert fitted(CALLS, (20.3, "ejected", 10.0), (29.9, "restored", None)).endpoints["a"].troubles.outages == ()


def test_the_outage_of_ten_seconds_in_a_real_log_of_haproxy_is_fitted_as_ten(tmp_path):
    """The server was stopped at 03:11:05.363, and listened again at 03:11:15.369."""
    log = import_logs([LOGS / "haproxy.log"], None, LogOptions(zone=UTC))
    assert log is not None
    write_trace(log.trace, tmp_path / "t.jsonl")
    fit = fit_trace(read_trace(tmp_path / "t.jsonl"))
    *_, outage = fit.endpoints["be/s4"].troubles.outages
    assert outage.to_s - outage.from_s == pytest.approx(10.0, abs=0.5)
    (server,) = (each for each in fit.data()["endpoints"] if each["url"] == "http://be.s4/")
    assert "crash_repair" in {fault["kind"] for fault in server["faults"]}
