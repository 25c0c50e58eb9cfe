"""What each client's caller sees of each fault, how much was sent, and what the pool counted."""

from collections.abc import Iterator

import pytest

from tests.integration.transports.fault_clients import CLIENTS, FAULTS_MET, RETRIES, Client, Met, meet, quick_retries
from tests.model_server import ModelServer, model_server

_ELSEWHERE = {
    "refused": "failure",
    "reset": "failure",
    "429-seconds": "overload",
    "429-date": "overload",
    "503": "overload",
    "drop-before": "failure",
    "garbage": "failure",
}
# What is seen where there is no other server: by httpx2 and httpx, and by OpenAI's client.
_ALONE = {
    "refused": ("ConnectError", "APIConnectionError"),
    "reset": ("ReadError", "APIConnectionError"),
    "503": ("503", "InternalServerError"),
    "drop-before": ("ReadError", "APIConnectionError"),
    "garbage": ("RemoteProtocolError", "APIConnectionError"),
}
_SOME = [client for client in CLIENTS if client.kind == "OpenAI"] + [CLIENTS[1], CLIENTS[6]]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with model_server() as server, quick_retries():
        yield server


def _id(given: Client | str) -> str:
    return given if isinstance(given, str) else given.name


@pytest.mark.sampled(13)
@pytest.mark.parametrize("fault", _ELSEWHERE)
@pytest.mark.parametrize("client", _SOME, ids=_id)
def test_before_the_first_byte_the_request_goes_elsewhere(client: Client, fault: str, model: ModelServer) -> None:
    came = 0 if fault == "refused" else 1
    found = meet(client, FAULTS_MET[fault], model, alone=False)
    assert found == Met("the answer", (came, 1), (f"1 {_ELSEWHERE[fault]}", "1 success"))


@pytest.mark.parametrize("fault", _ALONE)
@pytest.mark.parametrize("client", _SOME, ids=_id)
def test_three_tries_are_three_whoever_asks(client: Client, fault: str, model: ModelServer) -> None:
    came = 0 if fault == "refused" else 3
    sees = _ALONE[fault][client.kind == "OpenAI"]
    found = meet(client, FAULTS_MET[fault], model, alone=True)
    assert found == Met(sees, (came, 0), (f"3 {_ELSEWHERE[fault]}", "none"))


@pytest.mark.parametrize("client", _SOME, ids=_id)
def test_an_account_with_nothing_left_is_asked_once_whoever_asks(client: Client, model: ModelServer) -> None:
    fault = FAULTS_MET["insufficient_quota"]
    assert meet(client, fault, model, alone=False) == Met("the answer", (1, 1), ("1 ignored", "1 success"))
    sees = "RateLimitError" if client.kind == "OpenAI" else "429"
    assert meet(client, fault, model, alone=True) == Met(sees, (1, 0), ("1 ignored", "none"))


@pytest.mark.parametrize("client", _SOME, ids=_id)
def test_within_the_body_only_a_client_that_shows_nothing_yet_may_ask_again(client: Client, model: ModelServer) -> None:
    found = meet(client, FAULTS_MET["drop-within"], model, alone=False)
    by_itself = client.kind == "OpenAI" and not client.streams and not RETRIES
    # Before version 3, OpenAI's client shows the error of its library in mid-stream.
    sees = "APIConnectionError" if client.kind == "OpenAI" and not (RETRIES and client.streams) else "ReadError"
    times = 3 if by_itself else 1
    assert found == Met(sees, (times, 0), (f"{times} failure", "none"))


@pytest.mark.parametrize("client", _SOME, ids=_id)
def test_a_slow_body_is_waited_for(client: Client, model: ModelServer) -> None:
    assert meet(client, FAULTS_MET["drip"], model, alone=False) == Met("the answer", (1, 0), ("1 success", "none"))


@pytest.mark.parametrize("client", _SOME, ids=_id)
def test_nobody_looks_into_a_body(client: Client, model: ModelServer) -> None:
    found = meet(client, FAULTS_MET["html"], model, alone=False)
    assert found.sees != "the answer"
    assert (found.sent, found.counted) == ((1, 0), ("1 success", "none"))
