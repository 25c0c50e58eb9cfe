"""64 threads on quotas and groups: not one call more than a quota has in any minute, and nobody is left waiting."""

import threading

from balancer import Endpoint, Pool, QuotaSettings
from balancer.core.quotas import WINDOW_S
from balancer.errors import AcquireTimeout
from tests.threads.crew import crew

_CALLERS = 64


class _Clock:
    """Time that passes as threads look: each look is a little later, and none goes back."""

    def __init__(self, step_s: float) -> None:
        self._lock = threading.Lock()
        self._now_s = 0.0
        self._step_s = step_s

    def __call__(self) -> float:
        with self._lock:
            self._now_s += self._step_s
            return self._now_s


def test_64_callers_never_exceed_a_quota_of_calls_and_tokens_in_any_minute():
    calls, tokens = 40, 300
    quota = QuotaSettings(requests_per_min=calls, tokens_per_min=tokens)
    endpoints = [Endpoint(f"http://{name}/", capacity=20, quota="key") for name in "abcd"]
    pool = Pool(endpoints, quotas={"key": quota}, clock=_Clock(0.25))
    granted: list[tuple[float, int]] = []

    def call(number: int) -> None:
        for round_ in range(12):
            wanted = 1 + (number * 7 + round_ * 3) % 15
            try:
                with pool.lease(timeout=0, tokens=wanted) as lease:
                    granted.append((lease.granted_s, wanted))
            except AcquireTimeout:
                pass

    crew(_CALLERS, call)
    granted.sort()
    assert len(granted) > 2 * calls  # several minutes, by that clock
    most_calls = most_tokens = 0
    for from_s, _ in granted:
        within = [wanted for at_s, wanted in granted if from_s <= at_s < from_s + WINDOW_S]
        most_calls, most_tokens = max(most_calls, len(within)), max(most_tokens, sum(within))
    assert most_calls <= calls
    assert most_tokens <= tokens
    assert most_calls == calls or most_tokens > tokens - 15  # and there is nothing left over that could be used
