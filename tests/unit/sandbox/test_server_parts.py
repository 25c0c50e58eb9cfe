"""The parts of the sandbox server that need no socket: tokens, guard, what is held, what is counted."""

import json

import pytest
from hypothesis import given, strategies
from starlette.datastructures import Headers

from balancer.errors import ConfigError
from balancer.observing.page.guard import shows_token
from balancer.sandbox.server.app import TOKEN_VARIABLE, token_from
from balancer.sandbox.server.handler import ServerLoad
from balancer.values.json_size import json_values_in

TOKEN = "0123456789abcdef"


# -- tokens and the guard --------------------------------------------------------------------------


def test_a_token_comes_from_a_file_or_the_environment(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert token_from(file, {}) == TOKEN
    assert token_from(None, {TOKEN_VARIABLE: TOKEN}) == TOKEN
    assert token_from(file, {TOKEN_VARIABLE: "x" * 20}) == TOKEN
    assert token_from(None, {}) == ""


@pytest.mark.parametrize("content", [None, b"\xff" * 20])
def test_a_file_that_holds_no_token(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^cannot read the token from {file}: "):
        token_from(file, {})


@pytest.mark.parametrize(
    ("shown", "right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN}", True),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        ("Bearer ", False),
        ("Bearer \xe4", False),
        ("", False),
    ],
)
def test_a_token_is_compared(shown, right):
    assert shows_token(TOKEN, Headers({"Authorization": shown})) is right
    assert not shows_token(TOKEN, Headers())


# -- what is read ----------------------------------------------------------------------------------


@given(
    strategies.recursive(
        strategies.none() | strategies.integers() | strategies.text(alphabet='a",\\[{\n'),
        lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(alphabet='a"\\,'), inner),
    )
)
def test_no_value_hides(value):
    def count(part: object) -> int:
        if isinstance(part, dict):
            return 1 + sum(count(each) for each in part.values()) + len(part)
        return 1 + sum(count(each) for each in part) if isinstance(part, list) else 1

    counted = json_values_in(json.dumps(value).encode(), at_most=10**6)
    assert counted >= count(value) // 2
    assert counted <= 2 * count(value)


# -- what is counted -------------------------------------------------------------------------------


def test_how_long_a_client_is_asked_to_wait_grows_with_the_queue_and_the_runs():
    load = ServerLoad(workers=2, queue=1000)
    assert load.retry_after_s == 1
    for _ in range(50):
        load.ran(8.0)
    assert load.retry_after_s == 4
    load.waiting = 5
    assert load.retry_after_s == 24
    load.waiting = 500
    assert load.retry_after_s == 60
