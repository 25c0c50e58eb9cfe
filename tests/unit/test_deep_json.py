"""JSON of others that is nested too deep for Python is unreadable, and no error of the reader's."""

import httpx2
import pytest

from balancer import ConfigError
from balancer.answers import is_spent, load_of
from balancer.cluster.protocol.grace import parse_record
from balancer.observing.page.top import state_of
from balancer.observing.traces.rows import facts_of
from balancer.transports.request_options import prompt_key, prompt_tokens
from tests.apis.api import Api, Reply, serving

DEEP = "[" * 100_000
_REQUEST = httpx2.Request("POST", "http://a/", content=DEEP)


@pytest.mark.parametrize(
    "read",
    [
        lambda: is_spent(429, DEEP[:60_000].encode()),
        lambda: load_of({"endpoint-load-metrics": f"JSON {DEEP[:4000]}"}),
        lambda: parse_record(DEEP),
        lambda: facts_of(DEEP),
        lambda: prompt_key()(_REQUEST),
        lambda: prompt_tokens()(_REQUEST),
    ],
)
def test_it_says_nothing(read):
    assert not read()


class _Deep(Api):
    def answer(self, asked):
        return Reply(200, DEEP.encode(), {"Content-Type": "application/json"})


def test_a_page_of_it_is_no_page():
    with serving(_Deep()) as place, pytest.raises(ConfigError, match="not the page of a pool"):
        state_of(f"http://{place}/")
