"""What a request asks a pool for: settings that are functions of it, and a key from the beginning of its prompt."""

import inspect
from typing import Any

import httpx2
import pytest
import requests

from balancer import AsyncBalancedTransport, BalancedAdapter, BalancedMiddleware, BalancedTransport, Pool
from balancer.transports.request_options import RequestKeywords, RequestOptions, prompt_key, prompt_tokens


def _request(**body: Any) -> httpx2.Request:
    return httpx2.Request("POST", "http://pool/v1/chat/completions", json=body)


def _chat(*said: str, model: str = "m") -> httpx2.Request:
    return _request(model=model, messages=[{"role": "user", "content": each} for each in said])


def test_all_clients_have_the_same_options_in_the_order_of_a_call():
    clients = (BalancedTransport, AsyncBalancedTransport, BalancedAdapter, BalancedMiddleware)
    orders = [
        [name for name in inspect.signature(each).parameters if name not in ("pool", "inner")] for each in clients
    ]
    assert orders == [list(RequestKeywords.__annotations__)] * 4
    of_a_call = [name for name in inspect.signature(Pool.call).parameters if name in orders[0]]
    assert orders[0][: len(of_a_call)] == of_a_call


def test_settings_may_be_functions_of_the_request():
    wishes = RequestOptions(
        key=lambda request: request.method,
        labels=lambda request: {request.url.path},
        priority=lambda request: 3,
        holder=lambda request: request.headers["X-Sample"],
        exclude=["http://a/"],
        ttl_s=5.0,
    )
    asked = wishes.asked(httpx2.Request("GET", "http://pool/v1", headers={"X-Sample": "7"}))
    assert (asked.key, asked.labels, asked.priority, asked.holder) == ("GET", {"/v1"}, 3, "7")
    assert (asked.exclude, asked.ttl_s) == ({"http://a/"}, 5.0)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"attempts": 0}, ValueError, "attempts"),
        ({"deadline_s": -1}, ValueError, "deadline_s"),
        ({"labels": "gpu"}, TypeError, "collection of strings"),
        ({"exclude": "http://a/"}, TypeError, "collection of strings"),
    ],
)
def test_mistakes_are_told_at_once(wrong, error, says):
    with pytest.raises(error, match=says):
        RequestOptions(**wrong)


def test_prompts_that_begin_alike_have_one_key():
    key = prompt_key(20)
    system = "You are a helpful assistant."
    assert key(_chat(system, "a")) == key(_chat(system, "b")) is not None
    assert key(_chat("Another beginning.", "a")) != key(_chat(system, "a"))
    assert key(_chat(system, model="n")) != key(_chat(system))


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"messages": []}', b"\xff"])
def test_a_body_of_another_form_has_no_key(content):
    assert prompt_key()(httpx2.Request("POST", "http://pool/", content=content)) is None


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"messages": [{"role": "user", "content": "x" * 396}]}, 100 + 500),
        ({"messages": [{"role": "user", "content": "x" * 396}], "max_tokens": 7}, 107),
        ({"messages": [{"role": "user", "content": "x" * 396}], "max_completion_tokens": 7, "n": 3}, 121),
        ({"input": "abcde", "max_output_tokens": 0, "instructions": "abc"}, 2),
        ({"prompt": "abcd", "max_tokens": "many", "n": -1}, 501),
        ({"prompt": "ab", "tools": [{}]}, 2 + 500),
        ({"query": "what?"}, None),
    ],
)
def test_an_estimate_by_the_length_of_a_prompt_and_of_its_longest_answer(body, tokens):
    assert prompt_tokens(500)(_request(**body)) == tokens


def test_a_body_that_streams_or_is_no_json_has_no_estimate():
    assert prompt_tokens()(httpx2.Request("POST", "http://pool/", content=iter([b"{}"]))) is None
    assert prompt_tokens()(httpx2.Request("POST", "http://pool/", content=b"prompt")) is None
    assert prompt_tokens(0)(requests.Request("POST", "http://pool/", json={"input": "abcd"}).prepare()) == 1
    for wrong in (-1, 1.5, True):
        with pytest.raises(ValueError, match="answer is"):
            prompt_tokens(wrong)
        with pytest.raises(ValueError, match="tokens is"):
            RequestOptions(tokens=wrong)
