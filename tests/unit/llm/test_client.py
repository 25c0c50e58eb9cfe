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


def _settings(url, **more):
    return LlmSettings.model_validate({"model": "m", "endpoints": [{"url": url}], "timeout_s": 5.0, **more})


def _ask(*deeds, **more):
    """Ask a server that does these deeds, and return what came of it."""
    with serving_model(deeds) as server:
        client = ModelClient(server.url, {"Authorization": f"Bearer {_KEY}"}, _settings(server.url, **more))
        try:
            found = client.ask(_QUESTION)
        except BalancerError as error:
            found = error
        client.close()
    assert "\n" not in str(found)
    return found, server


def test_a_good_answer_with_the_servers_own_counts():
    found, server = _ask(says("{}", usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}))
    assert found == ModelReply("{}", None, False, 7, 2)
    assert server.keys == [f"Bearer {_KEY}"]
    assert server.asked[0]["response_format"]["type"] == "json_object"
    assert server.asked[0]["max_tokens"] == 8192


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": "2"}, "many", [1]])
def test_where_the_server_does_not_count_there_are_as_many_tokens_as_there_can_be(usage):
    found, _ = _ask(says("häh", usage=usage))
    assert found == ModelReply("häh", None, False, most_tokens(_QUESTION), 4)


def test_a_count_that_cannot_be_is_not_believed():
    found, _ = _ask(says("{}", usage={"prompt_tokens": 10**30, "completion_tokens": 10**30, "total_tokens": 0}))
    assert found == ModelReply("{}", None, False, most_tokens(_QUESTION), 8192)


def test_a_refusal_and_an_answer_that_was_cut():
    found, _ = _ask(says(None, refusal="I must not", usage={"prompt_tokens": 1, "completion_tokens": 1}))
    assert found == ModelReply(None, "I must not", False, 1, 1)
    found, _ = _ask(says('{"inp', finish="length", usage={"prompt_tokens": 1, "completion_tokens": 1}))
    assert found == ModelReply('{"inp', None, True, 1, 1)


def test_halves_of_characters_become_text():
    found, _ = _ask(raw(200, b'{"choices": [{"message": {"content": "a\\ud800b"}}]}'))
    assert isinstance(found, ModelReply)
    assert found.text == "a?b"


_BODIES = {
    "nothing": b"",
    "garbage": b"\x00\xff garbage" * 9,
    "an array": b"[]",
    "a number": b"7",
    "null": b"null",
    "no choices": json.dumps({**completion(None), "choices": []}).encode(),
    "choices of another type": json.dumps({**completion(None), "choices": "abc"}).encode(),
    "a choice of another type": json.dumps({**completion(None), "choices": [7]}).encode(),
    "no message": json.dumps(completion(None)).encode(),
    "a content of another type": json.dumps(completion({"role": "assistant", "content": {"a": 1}})).encode(),
    "a deep array": b"[" * 100_000,
    "half a completion": json.dumps(completion({"content": "x"})).encode()[:-9],
}


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
@pytest.mark.parametrize("name", _BODIES)
def test_what_is_no_completion_is_a_failure_of_the_server(name, kind):
    found, server = _ask(raw(200, _BODIES[name], kind))
    assert type(found) is EndpointError
    assert str(found).startswith(server.url)


@pytest.mark.parametrize(
    ("deed", "kind", "words"),
    [
        (error(500), EndpointError, "500"),
        (error(529), EndpointError, "529"),
        (raw(302, b"", Location="http://127.0.0.1:1/"), EndpointError, "302"),
        (error(503), EndpointOverloaded, "503"),
        (error(429), EndpointOverloaded, "429"),
        (error(429, "insufficient_quota"), ServerUnusable, "insufficient_quota: its account has no quota left"),
        (error(401), ServerUnusable, "401"),
        (error(404, "model_not_found"), ServerUnusable, "404"),
        (error(403), Declined, "403"),
        (error(413), Declined, "413"),
        (hang(0.01), EndpointError, "RemoteProtocolError"),
        (raw(200, gzip.compress(b"{}"), Content_Encoding="gzip"), EndpointError, "compressed"),
    ],
)
def test_what_an_answer_means_for_its_server(deed, kind, words):
    found, server = _ask(deed, deed, deed)
    assert type(found) is kind
    assert words in str(found)
    # A 500 may be a form that the server does not know: one question in each.
    assert len(server.asked) == (2 if words == "500" else 1), "the library must not try again by itself"


def test_how_long_a_busy_server_asks_to_be_left_alone():
    found, _ = _ask(error(429, Retry_After="7"))
    assert isinstance(found, EndpointOverloaded)
    assert found.retry_after_s == 7.0


@pytest.mark.parametrize("deed", [hang(20.0), drip(20.0)])
def test_an_answer_has_one_deadline_however_it_comes(deed):
    began_s = time.monotonic()
    with serving_model([deed]) as server:
        client = ModelClient(server.url, {}, _settings(server.url, timeout_s=0.3))
        with pytest.raises(EndpointError, match=r"no answer within 0\.3 s"):
            client.ask(_QUESTION)
        client.close()
    assert time.monotonic() - began_s < stretched(5.0)


def test_a_hundred_megabytes_are_an_answer_that_was_cut():
    found, _ = _ask(huge(100), timeout_s=60.0)
    assert isinstance(found, ModelReply)
    assert (found.text, found.cut, found.answered) == (None, True, 8192)


# -- forms --------------------------------------------------------------------------------------------


def _forms(server):
    return [asked.get("response_format", {"type": "text"})["type"] for asked in server.asked]


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_form_that_a_server_refuses_is_not_asked_for_again(status):
    no = error(status, message="response_format is not supported")
    with serving_model([no], says("{}")) as server:
        client = ModelClient(server.url, {}, _settings(server.url))
        client.ask(_QUESTION)
        client.ask(_QUESTION)
        client.close()
    assert _forms(server) == ["json_object", "text", "text"]


def test_once_a_form_has_worked_no_other_is_tried():
    with serving_model([says("{}"), error(400), error(500), says("{}")]) as server:
        client = ModelClient(server.url, {}, _settings(server.url))
        client.ask(_QUESTION)
        with pytest.raises(Declined):
            client.ask(_QUESTION)
        with pytest.raises(EndpointError):
            client.ask(_QUESTION)
        client.ask(_QUESTION)
        client.close()
    assert _forms(server) == ["json_object"] * 4


def test_a_question_that_is_declined_in_every_form_says_nothing_of_the_forms():
    too_long = error(400, "context_length_exceeded", "too long")
    with serving_model([too_long] * 2, says("{}")) as server:
        client = ModelClient(server.url, {}, _settings(server.url))
        with pytest.raises(Declined, match="too long"):
            client.ask(_QUESTION)
        client.ask(_QUESTION)
        client.close()
    assert _forms(server) == ["json_object", "text", "json_object"]


def test_a_server_that_wants_the_other_name_of_the_limit():
    no = error(400, message="use 'max_completion_tokens' instead")
    with serving_model([no], says("{}")) as server:
        client = ModelClient(server.url, {}, _settings(server.url, max_output_tokens=99))
        client.ask(_QUESTION)
        client.ask(_QUESTION)
        client.close()
    limits = [{k: v for k, v in asked.items() if k.startswith("max_")} for asked in server.asked]
    assert limits == [{"max_tokens": 99}, {"max_completion_tokens": 99}, {"max_completion_tokens": 99}]
    assert _forms(server) == ["json_object"] * 3


# -- the key ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_an_error_that_quotes_the_key_is_shown_without_it(status):
    found, _ = _ask(*[error(status, message=f"Incorrect API key provided: {_KEY}")] * 3)
    assert isinstance(found, BalancerError)
    assert _KEY not in repr(found) + repr(found.__cause__) + repr(
        found.__context__ if not found.__suppress_context__ else ""
    )
    assert "***" in str(found)


@pytest.mark.parametrize("text", [_KEY, f'{{"inputs": ["{_KEY}"]}}', _KEY.replace("s", "\\u0073")])
def test_an_answer_that_holds_the_key_is_a_failure_of_the_server(text):
    found, _ = _ask(says(text))
    assert type(found) is EndpointError
    assert "has the value of a request header" in str(found)
    assert "canary" not in str(found)


def test_a_header_that_cannot_be_sent_is_named_without_its_value():
    with pytest.raises(ConfigError, match="'Authorization' has a value that cannot be sent") as caught:
        ModelClient("http://h/v1/", {"Authorization": f"{_KEY}\n"}, _settings("http://h/v1/"))
    assert _KEY not in str(caught.value)


# -- settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        (["local://1"], "must begin with http"),
        (["http://h/v1/", "HTTP://H:80/v1"], "twice"),
        (["http://{1..2}/", "http://2/"], "twice"),
        (["http://u:secret@h/"], "put credentials in"),
        ([], "is missing"),
    ],
)
def test_servers_that_cannot_be(endpoints, words):
    with pytest.raises(ValidationError, match=words) as caught:
        LlmSettings.model_validate({"model": "m", "endpoints": [{"url": url} for url in endpoints]})
    assert "secret" not in str(caught.value)
