"""A quota that no retry can help: its endpoints are out of service, others are tried, at last the call ends at once."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from balancer import Endpoint, Pool, QuotaSettings, QuotaSpent
from balancer.answers import is_spent
from balancer.endpoint import Outcome, judged, outcome_of
from balancer.errors import NoEndpoint

_BODY = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": None}}


class _Answered(Exception):
    """Looks like the error of the OpenAI SDK for a status."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__("answered")
        self.status_code, self.body, self.response = status, body, SimpleNamespace(headers={})


_Answered.__module__, _Answered.__qualname__ = "openai", "APIStatusError"


@pytest.mark.parametrize(
    ("status", "body", "spent"),
    [
        (429, _BODY, True),
        (429, b'{"error": {"code": "insufficient_quota"}}', True),
        (429, '{"code": "insufficient_quota"}', True),
        (402, None, True),
        (429, {"error": {"code": "rate_limit_exceeded", "type": "requests"}}, False),
        (500, _BODY, False),
        (429, b"\xff", False),
        (429, "[" * 200_000, False),
        (429, {"error": "insufficient_quota"}, False),
        (429, {"error": {"code": ["insufficient_quota"]}}, False),
    ],
)
def test_an_answer_says_that_nothing_is_left_by_its_code_or_type(status, body, spent):
    assert is_spent(status, body) is spent


def test_such_an_error_is_held_against_nobody_and_goes_elsewhere():
    for error in (_Answered(429, _BODY), QuotaSpent("no money")):
        told = judged(error)
        assert (told.outcome, told.elsewhere) == (Outcome.IGNORED, True)
        assert told.hint is not None
        assert told.hint.spent
    assert outcome_of(_Answered(429, None)) is Outcome.OVERLOAD


def test_the_endpoints_of_the_account_are_out_and_the_call_ends_elsewhere(caplog):
    quotas = {"poor": QuotaSettings(requests_per_min=100)}
    poor = [Endpoint("http://a/", quota="poor"), Endpoint("http://b/", quota="poor")]
    pool = Pool([*poor, Endpoint("http://c/")], quotas=quotas, strategy="first")
    tried: list[str] = []

    def call(lease: Any) -> str:
        tried.append(lease.endpoint.name)
        if lease.endpoint.quota:
            raise _Answered(429, _BODY)
        return "done"

    with caplog.at_level(logging.WARNING, "balancer"):
        assert pool.call(call) == "done"
    assert tried == ["http://a/", "http://c/"]
    assert [line for line in caplog.messages if "no quota left" in line and "http://b/" in line]
    assert pool.call(call) == "done"
    assert tried == ["http://a/", "http://c/", "http://c/"]


@pytest.mark.parametrize("health", ["on", "off"])
def test_where_nobody_can_pay_the_call_ends_at_once_and_says_so(health):
    pool = Pool(["http://a/", "http://b/"], **({} if health == "on" else {"health": None}))
    tried: list[str] = []

    def call(lease: Any) -> None:
        tried.append(lease.endpoint.name)
        raise _Answered(429, _BODY)

    with pytest.raises(_Answered) as caught:
        pool.call(call, attempts=10, deadline_s=3600.0)
    assert sorted(tried) == ["http://a/", "http://b/"]
    assert "no quota left" in " ".join(caught.value.__notes__)
    with pytest.raises(NoEndpoint, match="'http://a/', 'http://b/' said that their account has no quota left") as told:
        pool.acquire(timeout=60.0)
    assert (told.value.spent, told.value.spent_names) == (2, ("http://a/", "http://b/"))
    assert "out of service until added again; pay, then drain" in str(told.value)
    assert pool.out_of_service() == {"http://a/", "http://b/"}
    assert [each.health for each in pool.stats().endpoints] == ["spent", "spent"]
    pool.drain("http://a/")
    assert pool.out_of_service() == {"http://b/"}
    pool.add("http://a/")
    pool.update("http://b/", weight=2.0)
    assert pool.out_of_service() == {"http://b/"}
    assert [each.health for each in pool.stats().endpoints] == ["healthy" if health == "on" else "", "spent"]
    pool.acquire(timeout=0).release()
