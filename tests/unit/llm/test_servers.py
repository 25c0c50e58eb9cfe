"""Several servers of a model: one answers for another, an outage is waited for, and who never will is asked once."""

from contextlib import contextmanager

import pytest

from balancer.endpoint import Endpoint
from balancer.errors import EndpointError, EndpointOverloaded
from balancer.opening.pool import Pool
from balancer.pipeline.llm.client import Declined, ModelReply, ModelServers, NotAnswered, ServerUnusable

_REPLY = ModelReply("{}", None, False, 1, 1)
_URLS = ("http://a/", "http://b/")
_NAMES = ("one", "other")  # an endpoint is known by its name, which need not be its URL
_QUESTION = [{"role": "user", "content": "hey"}]
Step = Exception | ModelReply


class Client:
    """Does one step for each question, and the last one for ever."""

    def __init__(self, *steps):
        self.asked = 0
        self._steps = list(steps)

    def ask(self, messages):
        """Do the next step."""
        self.asked += 1
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, Exception):
            raise step
        return step


@contextmanager
def _servers(*clients, outage_s=0.0):
    """Yield the servers, what is said, and a pause that does not wait: it moves the pool's clock."""
    now_s = [0.0]
    said = []

    def pause(seconds):
        now_s[0] += seconds

    urls = _URLS[: len(clients)]
    with Pool(
        [Endpoint(url, name=name) for url, name in zip(urls, _NAMES, strict=False)],
        strategy="first",
        clock=lambda: now_s[0],
    ) as pool:
        yield (
            ModelServers(pool, dict(zip(_NAMES, clients, strict=False)), outage_s=outage_s, say=said.append),
            said,
            pause,
        )


def test_another_server_answers_for_one_that_is_down_or_busy():
    busy = EndpointOverloaded("busy", retry_after_s=3.0)
    for failure in (EndpointError("down"), busy):
        bad, good = Client(failure), Client(_REPLY)
        with _servers(bad, good) as (servers, said, pause):
            assert servers.ask(_QUESTION, pause) == _REPLY
        assert (bad.asked, good.asked, said) == (1, 1, [])


def test_a_server_that_will_never_answer_is_asked_once_and_named_once():
    spent, good = Client(ServerUnusable("http://a/: insufficient_quota")), Client(_REPLY)
    with _servers(spent, good) as (servers, said, pause):
        for _ in range(5):
            assert servers.ask(_QUESTION, pause) == _REPLY
    assert (spent.asked, good.asked) == (1, 5)
    assert said == [f"{_URLS[0]}: insufficient_quota; it is not used again in this run"]


def test_when_no_server_will_ever_answer_nobody_is_asked_again():
    clients = [Client(ServerUnusable(f"{url}: insufficient_quota")) for url in _URLS]
    with _servers(*clients) as (servers, said, pause):
        for _ in range(3):
            with pytest.raises(NotAnswered, match=r"^http://a/: insufficient_quota; http://b/: insufficient_quota$"):
                servers.ask(_QUESTION, pause)
    assert [client.asked for client in clients] == [1, 1]
    assert said[2:] == [
        "no server of the model answers: http://a/: insufficient_quota; http://b/: insufficient_quota; the next run "
        "will ask again"
    ]


def test_a_question_that_is_declined_is_not_carried_around():
    no, other = Client(Declined("too long")), Client(_REPLY)
    with _servers(no, other) as (servers, _, pause), pytest.raises(Declined):
        servers.ask(_QUESTION, pause)
    assert (no.asked, other.asked) == (1, 0)


def test_an_outage_is_waited_for():
    down = EndpointError("down")
    client = Client(*[down] * 30, _REPLY)
    with _servers(client, outage_s=1000.0) as (servers, _, pause):
        assert servers.ask(_QUESTION, pause) == _REPLY
    assert client.asked == 31


def test_an_outage_without_end_is_one_line():
    client = Client(EndpointError("down", endpoint="http://a/"))
    with _servers(client, outage_s=0.0) as (servers, _, pause), pytest.raises(NotAnswered) as caught:
        servers.ask(_QUESTION, pause)
    assert client.asked == 20
    assert str(caught.value) == "http://a/: down"


def test_whoever_is_told_to_stop_asks_nobody():
    client = Client(_REPLY)

    def stopped(seconds):
        raise KeyboardInterrupt

    with _servers(client) as (servers, _, _):
        with pytest.raises(KeyboardInterrupt):
            servers.ask(_QUESTION, stopped)
        assert servers.ask(_QUESTION, lambda seconds: None) == _REPLY, "the lease was given back"
    assert client.asked == 1
