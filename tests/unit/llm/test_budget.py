"""Caps hold to the unit, whoever asks at once; what is set aside and not used is there for others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.proposing import ModelAccount, NoBudget, TokenUsage
from balancer.settings.llm import LlmBudget, LlmPrices
from tests.patience import PATIENCE_S

_FREE = LlmPrices()
_Calls = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 40), st.floats(0, 1)))


@given(_Calls, st.integers(1, 200), st.integers(1, 100))
def test_no_cap_is_ever_passed_and_none_refuses_what_fits(calls, tokens, row_tokens):
    account = ModelAccount(LlmBudget(tokens=tokens, row_tokens=row_tokens), _FREE)
    used = {"a": 0, "b": 0}
    for row, asked, answered, part in calls:
        fits = sum(used.values()) + asked + answered <= tokens and used[row] + asked + answered <= row_tokens
        try:
            with account.reserve(row, asked, answered) as reserved:
                assert fits
                reserved.settle(asked, int(part * answered), 0.0)
                used[row] += asked + int(part * answered)
        except NoBudget:
            assert not fits
        assert account.used(row).tokens == used[row]
    assert account.used().tokens == sum(used.values())


def _fails(account, settled):
    with account.reserve("a", 5, 5) as reserved:
        reserved.settle(settled, 0, 1.5)
        raise OSError("down")


def test_a_call_that_fails_costs_nothing_but_what_it_settled():
    account = ModelAccount(LlmBudget(tokens=10), _FREE)
    for settled in (0, 4):
        with pytest.raises(OSError, match="down"):
            _fails(account, settled)
        if settled == 0:
            assert account.used("a") == TokenUsage(0, 0, 0.0, 1.5)
    assert account.used("a") == TokenUsage(4, 0, 0.0, 3.0)
    with pytest.raises(NoBudget), account.reserve("a", 5, 5):
        pass


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        (LlmBudget(tokens=9), "[llm.budget] tokens = 9 allows no more questions"),
        (LlmBudget(row_tokens=9), "[llm.budget] row_tokens = 9 allows no more questions"),
        (LlmBudget(cost=9.5), "[llm.budget] cost = 9.5 allows no more questions"),
        (LlmBudget(seconds=2.0), "[llm.budget] seconds = 2 allows no more questions"),
    ],
)
def test_every_cap_says_which_it_is(budget, line):
    account = ModelAccount(budget, LlmPrices(input=1e6, output=1e6), {"a": TokenUsage(0, 0, 0.0, 2.0)})
    with pytest.raises(NoBudget) as caught, account.reserve("a", 5, 5):
        pass
    assert str(caught.value) == line


def test_a_call_that_would_fit_waits_for_those_under_way():
    account = ModelAccount(LlmBudget(tokens=100), _FREE)
    begun, end = threading.Event(), threading.Event()
    order = []

    def first():
        with account.reserve("a", 0, 80) as reserved:
            begun.set()
            assert end.wait(PATIENCE_S)
            reserved.settle(0, 10, 0.0)
            order.append("first")

    def second():
        with account.reserve("b", 0, 80) as reserved:
            order.append("second")
            reserved.settle(0, 80, 0.0)

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(first)
        assert begun.wait(PATIENCE_S)
        other = threads.submit(second)
        end.set()
        one.result(PATIENCE_S)
        other.result(PATIENCE_S)
    assert order == ["first", "second"]
    assert account.used().tokens == 90


@pytest.mark.parametrize("seed", range(3))
def test_threads_together_never_pass_a_cap(seed):
    cap = 1000
    account = ModelAccount(LlmBudget(tokens=cap, row_tokens=200), _FREE)
    refused = []

    def work(number):
        rng, spent, row = Random(seed * 100 + number), 0, f"row {number % 8}"
        for _ in range(40):
            asked, answered = rng.randrange(10), rng.randrange(30)
            used = rng.randrange(answered + 1)
            try:
                with account.reserve(row, asked, answered) as reserved:
                    reserved.settle(asked, used, 0.0)
                    spent += asked + used
            except NoBudget:
                refused.append(number)
            assert account.used().tokens <= cap
            assert account.used(row).tokens <= 200
        return spent

    with ThreadPoolExecutor(16) as threads:
        spent = sum(threads.map(work, range(16), timeout=PATIENCE_S))
    assert spent == account.used().tokens <= cap
    assert spent > cap - 40, "what was set aside and not used must be there for others"
    assert refused
