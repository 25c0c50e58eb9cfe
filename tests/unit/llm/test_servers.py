"""Several servers of a model: one answers for another, an outage is waited for, and who never will is asked once."""

from contextlib import contextmanager

import pytest

from balancer.endpoint import Endpoint
from balancer.errors import EndpointError, EndpointOverloaded
from balancer.opening.pool import Pool
from balancer.pipeline.llm.client import Declined, ModelReply, ModelServers, NotAnswered, ServerUnusable

_REPLY = ModelReply("{}", None, False, 1, 1)
_NAMES = ("one", "other")  # an endpoint is known by its name, which need not be its URL
_QUESTION = [{"role": "user", "content": "hey"}]
_DOWN = EndpointError("down", endpoint="http://a/")
_SPENT = ServerUnusable("insufficient_quota")


class Asked:
    """Does one step for each question, and the last one for ever."""

    def __init__(self, *steps):
        self.times = 0
        self._steps = list(steps)

    def __call__(self, messages):
        self.times += 1
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, Exception):
            raise step
        return step


@contextmanager
def _servers(*asks, outage_s=0.0):
    """Yield the servers, what is said, and a pause that does not wait: it moves the pool's clock."""
    now_s, said = [0.0], []

    def pause(seconds):
        now_s[0] += seconds

    named = dict(zip(_NAMES, asks, strict=False))
    endpoints = [Endpoint(f"http://{name[-1]}/", name=name) for name in named]
    with Pool(endpoints, strategy="first", clock=lambda: now_s[0]) as pool:
        yield ModelServers(pool, named, outage_s=outage_s, say=said.append), said, pause


@pytest.mark.parametrize(
    ("steps", "outage_s", "result", "times", "told"),
    [
        # Another one answers for a server that is down or busy.
        ([[_DOWN], [_REPLY]], 0.0, _REPLY, [1, 1], []),
        ([[EndpointOverloaded("busy", retry_after_s=3.0)], [_REPLY]], 0.0, _REPLY, [1, 1], []),
        # A question that is declined is not carried around.
        ([[Declined("too long")], [_REPLY]], 0.0, "too long", [1, 0], []),
        # An outage is waited for; one without end is one line.
        ([[*[_DOWN] * 30, _REPLY]], 1000.0, _REPLY, [31], []),
        (
            [[_DOWN]],
            0.0,
            "http://a/: down",
            [20],
            ["no server of the model answers: http://a/: down; the next run will ask again"],
        ),
    ],
)
def test_question_goes_on_to_who_may_answer_it(steps, outage_s, result, times, told):
    asks = [Asked(*each) for each in steps]
    with _servers(*asks, outage_s=outage_s) as (servers, said, pause):
        try:
            found = servers.ask(_QUESTION, pause)
        except (Declined, NotAnswered) as error:
            found = str(error)
    assert (found, [each.times for each in asks], said) == (result, times, told)


def test_server_that_will_never_answer_is_asked_once_and_named_once():
    spent, good = Asked(_SPENT), Asked(_REPLY, _SPENT)
    lines = ["insufficient_quota; it is not used again in this run"] * 2
    with _servers(spent, good) as (servers, said, pause):
        assert servers.ask(_QUESTION, pause) == _REPLY
        assert said == lines[:1]
        for _ in range(3):
            with pytest.raises(NotAnswered, match=r"^insufficient_quota; insufficient_quota$"):
                servers.ask(_QUESTION, pause)
    assert (spent.times, good.times, said[:2], len(said)) == (1, 2, lines, 3)


def test_question_that_is_told_to_stop_asks_nobody_and_gives_its_lease_back():
    asked = Asked(_REPLY)

    def stopped(seconds):
        raise KeyboardInterrupt

    with _servers(asked) as (servers, _, pause):
        with pytest.raises(KeyboardInterrupt):
            servers.ask(_QUESTION, stopped)
        assert servers.ask(_QUESTION, pause) == _REPLY
    assert asked.times == 1
