"""One model's server that does whatever it likes: an answer, or one line, and never the key."""

import gzip
import json
import time

import pytest
from pydantic import ValidationError

from balancer.errors import BalancerError, ConfigError, EndpointError, EndpointOverloaded
from balancer.pipeline.llm.client import Declined, ModelClient, ModelReply, ServerUnusable, most_tokens
from balancer.settings.llm import LlmSettings
from tests.patience import stretched
from tests.unit.llm.served import completion, drip, error, hang, huge, raw, says, serving_model

_KEY = "sk-canary-0123456789abcdef"
_QUESTION = [{"role": "system", "content": "you"}, {"role": "user", "content": "hey"}]
_MOST = most_tokens(_QUESTION)
_FEW = {"prompt_tokens": 1, "completion_tokens": 2}


def _settings(url, **more):
    return LlmSettings.model_validate({"model": "m", "endpoints": [{"url": url}], "timeout_s": 5.0, **more})


def _ask(*deeds, always=None, times=1, **more):
    """Ask a server that does these deeds, and return what came of it at each time."""
    found = []
    with serving_model(deeds, always) as server:
        client = ModelClient(server.url, {"Authorization": f"Bearer {_KEY}"}, _settings(server.url, **more))
        for _ in range(times):
            try:
                found.append(client.ask(_QUESTION))
            except BalancerError as error:
                found.append(error)
        client.close()
    assert "\n" not in str(found)
    return (found if times > 1 else found[0]), server


def _sent(server):
    """Return form and limits of each question."""
    return [
        (asked.get("response_format", {"type": "text"})["type"], {k: v for k, v in asked.items() if k[:4] == "max_"})
        for asked in server.asked
    ]


@pytest.mark.parametrize(
    ("deed", "reply"),
    [
        (says("{}", usage={**_FEW, "total_tokens": 9}), ModelReply("{}", None, False, 1, 2)),
        (says(None, refusal="I must not", usage=_FEW), ModelReply(None, "I must not", False, 1, 2)),
        (says('{"inp', finish="length", usage=_FEW), ModelReply('{"inp', None, True, 1, 2)),
        (raw(200, b'{"choices": [{"message": {"content": "a\\ud800b"}}]}'), ModelReply("a?b", None, False, _MOST, 3)),
        # Counts that are missing or cannot be are the most that there can be.
        *(
            (says("h\u00e4h", usage=usage), ModelReply("h\u00e4h", None, False, _MOST, 4))
            for usage in (None, {"prompt_tokens": -1, "completion_tokens": "2"}, [1])
        ),
        (says("", usage=dict.fromkeys(_FEW, 10**30)), ModelReply("", None, False, _MOST, 8192)),
        (huge(40), ModelReply(None, None, True, _MOST, 8192)),
    ],
)
def test_reply_is_what_the_server_says_as_far_as_it_can_be(deed, reply):
    found, server = _ask(deed, timeout_s=60.0)
    assert found == reply
    assert server.keys == [f"Bearer {_KEY}"]
    assert _sent(server) == [("json_object", {"max_tokens": 8192})]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff garbage" * 9,
        b"[" * 100_000,
        *(json.dumps(each).encode() for each in ([], 7, None, completion(None), completion({"content": {"a": 1}}))),
        *(json.dumps({**completion(None), "choices": each}).encode() for each in ([], "abc", [7])),
        json.dumps(completion({"content": "x"})).encode()[:-9],
    ],
)
def test_body_that_is_no_completion_is_a_failure_of_the_server(body):
    found, server = _ask(raw(200, body))
    assert type(found) is EndpointError
    assert str(found).startswith(server.url)


@pytest.mark.parametrize(
    ("deed", "kind", "words"),
    [
        (error(500), EndpointError, "500"),
        (error(529), EndpointError, "529"),
        (raw(302, b"", Location="http://127.0.0.1:1/"), EndpointError, "302"),
        (error(503), EndpointOverloaded, "503"),
        (error(429, Retry_After="7"), EndpointOverloaded, "429"),
        (error(429, "insufficient_quota"), ServerUnusable, "insufficient_quota: its account has no quota left"),
        (error(401), ServerUnusable, "401"),
        (error(404, "model_not_found"), ServerUnusable, "404"),
        (error(403), Declined, "403"),
        (error(413), Declined, "413"),
        (hang(0.01), EndpointError, "RemoteProtocolError"),
        (raw(200, gzip.compress(b"{}"), Content_Encoding="gzip"), EndpointError, "compressed"),
    ],
)
def test_error_says_what_it_means_for_its_server(deed, kind, words):
    found, server = _ask(always=deed)
    assert type(found) is kind
    assert words in str(found)
    assert getattr(found, "retry_after_s", None) == (7.0 if words == "429" else None)
    # A 500 may be a form that the server does not know: one question in each.
    assert len(server.asked) == (4 if words == "500" else 1), "the library must not try again by itself"


@pytest.mark.parametrize("deed", [hang(20.0), drip(20.0)])
def test_deadline_of_an_answer_holds_however_it_comes(deed):
    began_s = time.monotonic()
    found, _ = _ask(deed, timeout_s=0.3)
    assert type(found) is EndpointError
    assert "no answer within 0.3 s" in str(found)
    assert time.monotonic() - began_s < stretched(5.0)


_JSON, _TEXT = "json_object", "text"
_NO = error(400, message="not supported")


@pytest.mark.parametrize(
    ("deeds", "outcomes", "forms"),
    [
        # A form that a server refuses is not asked for again; the other name of the limit is tried before.
        *(([error(status)] * 2, [ModelReply] * 2, [_JSON, _JSON, _TEXT, _TEXT]) for status in (400, 422, 500)),
        ([_NO], [ModelReply] * 2, [_JSON] * 3),
        # Once a form has worked, no other is tried.
        ([says("{}"), _NO, error(500)], [ModelReply, Declined, EndpointError, ModelReply], [_JSON] * 4),
        # A question that is declined in every form says nothing of the forms.
        ([_NO] * 4, [Declined, ModelReply], [_JSON, _JSON, _TEXT, _TEXT, _JSON]),
    ],
)
def test_form_is_the_best_one_that_the_server_knows(deeds, outcomes, forms):
    found, server = _ask(*deeds, always=says("{}"), times=len(outcomes), max_output_tokens=99)
    assert [type(each) for each in found] == outcomes
    assert [form for form, _ in _sent(server)] == forms
    if deeds == [_NO]:
        assert [limit for _, limit in _sent(server)][1:] == [{"max_completion_tokens": 99}] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_error_that_quotes_the_key_is_shown_without_it(status):
    found, _ = _ask(always=error(status, message=f"Incorrect API key provided: {_KEY}"))
    assert isinstance(found, BalancerError)
    shown = repr(found) + repr(found.__cause__) + ("" if found.__suppress_context__ else repr(found.__context__))
    assert _KEY not in shown
    assert "***" in str(found)


@pytest.mark.parametrize("key", [_KEY, _KEY.replace("s", "\\u0073")])
def test_answer_that_holds_the_key_is_a_failure_of_the_server(key):
    found, _ = _ask(says(json.dumps({"inputs": [0]}).replace("0", f'"{key}"')))
    assert type(found) is EndpointError
    assert "has the value of a request header" in str(found)
    assert "canary" not in str(found)


def test_header_that_cannot_be_sent_is_named_without_its_value():
    with pytest.raises(ConfigError, match="'Authorization' has a value that cannot be sent") as caught:
        ModelClient("http://h/v1/", {"Authorization": f"{_KEY}\n"}, _settings("http://h/v1/"))
    assert _KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        (["local://1"], "must begin with http"),
        (["http://h/v1/", "HTTP://H:80/v1"], "twice"),
        (["http://u:secret@h/"], "put credentials in"),
        ([], "is missing"),
    ],
)
def test_servers_that_cannot_be_are_refused(endpoints, words):
    with pytest.raises(ValidationError, match=words) as caught:
        LlmSettings.model_validate({"model": "m", "endpoints": [{"url": url} for url in endpoints]})
    assert "secret" not in str(caught.value)
