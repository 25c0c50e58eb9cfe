"""Caps of a model hold to the token, whoever asks at once; what is reserved and not used is there for others."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.llm.asker import ModelAccount, NoBudget
from balancer.pipeline.results.records import ModelUsage
from balancer.settings.llm import LlmBudget
from tests.patience import PATIENCE_S

_Calls = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 80), st.floats(0, 1), st.booleans()))


def _call(account, row, most, used, fails):
    with account.reserve(row, most) as book:
        book(used)
        if fails:
            raise OSError("down")


@given(_Calls, st.integers(1, 200), st.integers(1, 100), st.integers(0, 50))
def test_caps_are_never_passed_and_refuse_nothing_that_fits(calls, tokens, row_tokens, before):
    account = ModelAccount(LlmBudget(tokens=tokens, row_tokens=row_tokens), {"a": ModelUsage(1, before)})
    used = {"a": before, "b": 0}
    for row, most, part, fails in calls:
        if used[row] + most > row_tokens or sum(used.values()) + most > tokens:
            name, cap = ("row_tokens", row_tokens) if used[row] + most > row_tokens else ("tokens", tokens)
            with pytest.raises(NoBudget, match=rf"\[llm\.budget\] {name} = {cap} allows no more questions"):
                _call(account, row, most, 0, fails)
            continue
        with pytest.raises(OSError, match="down") if fails else nullcontext():
            _call(account, row, most, int(part * most), fails)
        used[row] += int(part * most)


def test_threads_together_never_pass_a_cap():
    account, refused = ModelAccount(LlmBudget(tokens=1000, row_tokens=200)), []

    def work(number):
        rng, spent = Random(number), 0
        for _ in range(40):
            most = rng.randrange(40)
            used = rng.randrange(most + 1)
            try:
                _call(account, f"row {number % 8}", most, used, fails=False)
                spent += used
            except NoBudget:
                refused.append(number)
        return spent

    with ThreadPoolExecutor(16) as threads:
        spent = sum(threads.map(work, range(16), timeout=PATIENCE_S))
    assert 960 < spent <= 1000, "what was reserved and not used must be there for others"
    assert refused
