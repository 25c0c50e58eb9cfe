"""OpenAI's clients over a pool: what they are given, whose key is sent, and that nobody tries nine times."""

import asyncio
from typing import Any

import openai
import pytest

import balancer
from balancer import BalancerError, Endpoint
from balancer.transports.clients import openai_http
from tests.unit.transports.scripted import Inner, Reply, pool_of

_ASKS: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "count"}]}
_BODY = b'{"id":"x","object":"chat.completion","created":0,"model":"m","choices":[]}'
_JSON = {"Content-Type": "application/json", "Content-Length": str(len(_BODY))}
_HTTP = openai_http()
_LATER = pytest.mark.parametrize("later", [False, True], ids=["threads", "tasks"])


def _said() -> Reply:
    return Reply(headers=_JSON, body=(_BODY,))


def _ask(pool: Any, inner: Inner, *, later: bool, client: Any = None, **settings: Any) -> Any:
    if not later:
        with balancer.openai(pool, inner=inner, client=client, **settings) as made:
            return made.chat.completions.create(**_ASKS)

    async def ask() -> Any:
        async with balancer.aopenai(pool, inner=inner, client=client, **settings) as made:
            return await made.chat.completions.create(**_ASKS)

    return asyncio.run(ask())


@_LATER
def test_the_key_in_the_environment_is_nobodys(later, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/")
    key = Endpoint("http://b/v1/", name="b", headers={"Authorization": "Bearer sk-b"})
    pool, _ = pool_of("a", key)
    inner = Inner(_HTTP, {"a": [Reply(503)], "b": [_said()]})
    assert _ask(pool, inner, later=later).model == "m"
    sent = [(str(request.url), request.headers["Authorization"]) for _, _, request in inner.sent]
    assert sent == [("http://a/v1/chat/completions", "Bearer none"), ("http://b/v1/chat/completions", "Bearer sk-b")]


@_LATER
def test_three_tries_are_three(later):
    pool, ends = pool_of("a", "b")
    inner = Inner(_HTTP, {"a": [Reply(503)], "b": [_HTTP.ReadTimeout("late")]})
    with pytest.raises(openai.InternalServerError):
        _ask(pool, inner, later=later)
    assert inner.hosts == ["a", "b", "a"]
    inner.script["a"] = [_HTTP.ConnectError("refused")]
    with pytest.raises(openai.APIConnectionError, match="Connection error: refused") as told:
        _ask(pool, inner, later=later)
    assert isinstance(told.value.__cause__, _HTTP.ConnectError)
    assert (len(inner.sent), len(ends)) == (6, 6)


@_LATER
@pytest.mark.parametrize("fails", [Reply(503), _HTTP.ReadError("broke")], ids=["a 503", "a reset"])
def test_what_must_not_be_sent_twice_is_not_sent_by_the_client_either(later, fails):
    pool, _ = pool_of("a", "b")
    inner = Inner(_HTTP, {"a": [fails], "b": [_said()]})
    with pytest.raises((openai.InternalServerError, openai.APIConnectionError)):
        _ask(pool, inner, later=later, resend="unsent")
    assert inner.hosts == ["a"]


@_LATER
def test_settings_of_the_transport_go_to_it(later):
    pool, _ = pool_of("a", Endpoint("http://b/", name="b", labels=frozenset({"gpu"})))
    inner = Inner(_HTTP, {"b": [_said()]})
    assert _ask(pool, inner, later=later, labels={"gpu"}, key=balancer.prompt_key()).model == "m"


@_LATER
def test_settings_of_the_client_go_to_that_one(later):
    pool, _ = pool_of("a")
    make = balancer.aopenai if later else balancer.openai
    made = make(pool, timeout=7.0, max_retries=5, attempts=2, client={"timeout": 1.0, "organization": "us"})
    assert (made.timeout, made.max_retries, made.organization) == (7.0, 5, "us")
    seen: list[float] = []

    def look(request: Any) -> Reply:
        seen.append(request.extensions["timeout"]["read"])
        return _said()

    assert _ask(pool, Inner(_HTTP, {"a": [look]}), later=later, timeout=7.0).model == "m"
    assert seen == [7.0]


@_LATER
@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            {"timout": 3},
            r"takes no 'timout'; did you mean 'timeout'\? \(of the transport: acquire_timeout_s, attempts, ",
        ),
        ({"apikey": "sk-secret"}, r"takes no 'apikey'; did you mean 'api_key'\? \((?!.*sk-secret)"),
        ({"http_client": None}, "makes the http_client itself; .*as inner="),
        ({"client": {"http_client": None}}, "makes the http_client itself"),
    ],
)
def test_what_neither_takes_is_told_by_name(later, wrong, line):
    pool, _ = pool_of("a")
    with pytest.raises(TypeError, match=rf"^balancer\.a?openai\(\) {line}"):
        (balancer.aopenai if later else balancer.openai)(pool, **wrong)


def test_a_version_with_another_http_library_is_refused(monkeypatch):
    monkeypatch.setattr(openai, "DEFAULT_TIMEOUT", 600.0)
    pool, _ = pool_of("a")
    with pytest.raises(BalancerError, match=r"^openai \S+ sends its requests by neither httpx2 nor httpx, .* install"):
        balancer.openai(pool)
