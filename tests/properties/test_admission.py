"""Groups and quotas around every strategy, held against the naive model: see `tests.referee.referee` for what holds.

Among it: a quota is never exceeded; a higher group is used only when it may be; no slot idles that somebody who waits
may use, now or before the core says that something is due; and nobody is kept waiting by those who ask for less.
"""

import random

import pytest

from balancer.endpoint import Endpoint
from balancer.settings.rules import QuotaSettings
from balancer.strategy import Request
from tests.referee.draws import gated_rules_of
from tests.referee.model_health import RulesInForce
from tests.referee.reference_check import ReferenceCheck
from tests.referee.walk import random_walk
from tests.registered import MAKERS, NAMES


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", NAMES)
def test_groups_and_quotas_hold_around_every_strategy(name):
    make = MAKERS[name]
    for seed in range(6):
        rules = gated_rules_of(random.Random(seed))
        random_walk(make, 250, seed=seed, endpoints=(1, 2, 3, 5)[seed % 4], rules=rules)


def test_who_asks_for_many_tokens_is_served_though_others_ask_for_few_all_the_time():
    quota = QuotaSettings(tokens_per_min=20)
    specs = [Endpoint(url, capacity=4, quota="key") for url in ("http://a/", "http://b/")]
    make = MAKERS["least_in_flight"]
    shadow = ReferenceCheck(make, specs, rules=RulesInForce(quotas={"key": quota}))
    for _ in range(6):
        shadow.acquire(Request(tokens=3))
    shadow.acquire(Request(labels=frozenset(), tokens=20), timeout_s=float("inf"))
    large = shadow.waiting[0]
    for _ in range(70):
        shadow.acquire(Request(exclude=frozenset({"http://a/"}), tokens=1), timeout_s=0.5)
        while shadow.out:
            shadow.release(shadow.out[0])
        shadow.pass_time(1.0)
        shadow.time_out()
        shadow.check()
    assert large.lease is not None
