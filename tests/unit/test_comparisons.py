"""What of an endpoint's calls is held against others: those since the last comparison, whoever took part in it."""

from balancer.endpoint import Hint
from tests.unit.ruled import FAILURE, OVERLOAD, Ruled

# Only the share of failures among at least 20 calls ejects, looked at every 10 s.
_COMPARED = {
    "consecutive_failures": 0,
    "success_rate": 0.0,
    "slow_start_s": 0.0,
    "interval_s": 10.0,
    "rate_sds": 0.0,
    "failure_volume": 20,
    "min_hosts": 2,
}


def test_one_that_rests_as_the_others_are_compared_begins_anew_like_them():
    ruled = Ruled(3, health=_COMPARED)
    ruled.call("b")  # begins the interval
    ruled.at(1.0)
    ruled.call("a", FAILURE, times=30)
    ruled.call("a", OVERLOAD, hint=Hint(retry_after_s=14.0))
    assert ruled.health()["a"] == "resting"
    ruled.at(11.0)
    for url in "bc":
        ruled.call(url, times=30)  # held against one another; "a" is not there
    assert ruled.health() == {"a": "resting", "b": "healthy", "c": "healthy"}
    ruled.at(16.0)
    assert ruled.health()["a"] == "healthy"
    ruled.call("a", times=5)
    for url in "bc":
        ruled.call(url, times=30)
    ruled.at(22.0)
    ruled.call("b")
    assert ruled.health()["a"] == "healthy", "what it did before the last comparison counted again"
