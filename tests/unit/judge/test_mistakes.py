"""What a caller gets wrong: one line that says where, what was found, and what is allowed; and nothing is run."""

import re
import sys
from typing import Any

import pytest

from balancer.errors import ConfigError, PoolClosed
from balancer.judge import CallCase, Job, Judge, Program, StdinCase
from balancer.opening.pool import Pool
from tests.unit.judge.judges import CASES, DOUBLE, doubling, judge_over
from tests.unit.pipeline.fakes import FakeExecutor, no_leases_out

_F = Program("python", "def f(x): return x")


@pytest.fixture
def usual_limit_of_digits():
    """As Python begins; the library of grammars lifts it for the whole process once it is imported."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (lambda: (1, "2"), "input is 1 (int); it takes a text, or bytes"),
        (lambda: ("1", None), "output is None (NoneType); it takes a text, or bytes"),
        (lambda: {"input": "1"}, "e.g. ('1', '2'); Job.of and cases_of read the forms of data sets"),
        (lambda: "x" * 500, "found 'xxxxxxxx"),
        (lambda: StdinCase("\ud800", "2"), "input has '\\ud800' at 0, half of a character"),
        (lambda: CallCase("f", [{1}], 1), "args is [{1}]; it must have values of JSON only: found a set"),
        (lambda: CallCase("f", [10**5000], 1), "args is a list; it must have values of JSON only: Exceeds the limit"),
        (lambda: CallCase("f()", [1], 1), "function is 'f()'; it must be a name"),
    ],
)
@pytest.mark.usefixtures("usual_limit_of_digits")
def test_the_case_is_named_and_what_is_wrong_with_it(case, words):
    fake = FakeExecutor(doubling)
    with judge_over({"a": fake}) as judge, pytest.raises((TypeError, ValueError)) as raised:
        judge.run(_F, [case(), ("1", "2")])
    message = str(raised.value)
    assert message.startswith("cases[0]: ")
    assert words in message
    assert len(message) < 300
    assert "\n" not in message
    assert not fake.calls


def test_all_cases_are_looked_at_before_one_is_run_and_without_a_program_as_well():
    fake = FakeExecutor(doubling)
    wrong: list[Any] = [*CASES, ("1", 2)]
    with judge_over({"a": fake}) as judge:
        for program in (DOUBLE, None):
            with pytest.raises(TypeError, match=re.escape("cases[3]: output is 2 (int)")):
                judge.run(program, wrong)
    assert not fake.calls


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StdinCase("1", "2", files={"a": "text"}), "files is {'a': 'text'}"),
        (lambda: StdinCase("1", "2", args="-n"), "args is '-n' (str); it takes texts"),
        (lambda: CallCase("f", 5, 1), "args is 5 (int); it takes a list of arguments"),
        (lambda: CallCase("f", [], 1, {1: 2}), "kwargs is {1: 2} (dict)"),
        (lambda: CallCase(3, [], 1), "function is 3 (int); it takes a name"),
        (lambda: Job("print(1)", CASES), "program is a str; a Job takes a Program or None"),
        (lambda: Job(DOUBLE, "12"), "cases is '12' (str); it takes a list of cases"),
        (lambda: Job(DOUBLE, {"inputs": []}), "or cases_of(...) of the tests of a data set"),
    ],
)
def test_where_it_is_made(make, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        make()


def test_of_a_run():
    with judge_over({"a": FakeExecutor(doubling)}) as judge:
        with pytest.raises(ValueError, match="functions of programs in 'cpp' cannot be called"):
            judge.run(Program("cpp", "x"), [CallCase("f", [], 1)])
        with pytest.raises(TypeError, match="a job is a Job"):
            list(judge.run_many([DOUBLE]))
        for wrong in (b"print(1)", 3, ["print(1)"]):
            with pytest.raises(TypeError, match=f"program is a {type(wrong).__name__}; it takes a Program, the text"):
                judge.run(wrong, CASES)
        many: Any
        for many in (Job(DOUBLE, CASES), "print(1)", 3):
            with pytest.raises(TypeError, match=f"jobs is a {type(many).__name__}; it takes Jobs, in a list"):
                list(judge.run_many(many))
        assert no_leases_out(judge.pool)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": ["local://1"]}, "source is a list; a Judge takes a Pool: Judge(Pool([...])), a config or the path"),
        ({"source": "http://user:secret@a/"}, "source is a URL; a Judge takes a Pool, Judge(Pool([URL]))"),
        ({"labels": "isolated"}, "labels is 'isolated'; it takes a collection of labels, e.g. {'isolated'}"),
        ({"stop_at_first": "no"}, "stop_at_first is 'no'; it takes True or False"),
        ({"outage_s": -1}, "outage_s is -1; it takes seconds, 0 or more"),
        ({"executors": [1]}, "executors is a list; it takes a mapping"),
        ({"checker": "diff"}, "checker is 'diff'"),
        ({"limits": 0}, "limits is 0; it takes Limits(...), or CPU seconds"),
        ({"source": Pool(["nothing://a"], health=None), "executors": None}, "scheme"),
    ],
)
def test_of_a_judge(arguments, words):
    pool = Pool(["a"], health=None)
    with pytest.raises((TypeError, ValueError, ConfigError), match=re.escape(words)) as raised:
        Judge(**{"source": pool, "executors": {}, **arguments})
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_closed_judge_says_so_and_not_that_its_pool_is():
    judge = judge_over({"a": FakeExecutor(doubling)})
    judge.close()
    for call in (
        lambda: judge.run(DOUBLE, CASES),
        lambda: judge.run(None, CASES),
        lambda: list(judge.run_many([Job(DOUBLE, CASES)])),
        lambda: judge.execute(DOUBLE, "1"),
    ):
        with pytest.raises(PoolClosed, match="this Judge is closed"):
            call()
    with judge_over({"a": FakeExecutor(doubling)}) as other:
        other.pool.close()
        with pytest.raises(PoolClosed, match="the pool is closed"):
            other.run(DOUBLE, CASES)


@pytest.mark.parametrize(
    ("given", "takes"),
    [("Python", "python"), ("py", "python"), ("python3", "python"), ("C++", "cpp"), ("c++", "cpp"), ("Ruby", "ruby")],
)
def test_another_name_of_a_language_is_no_language_without_programs(given, takes):
    """With it no block would be found, and each right program would score 0."""
    with pytest.raises(ValueError, match=re.escape(f"language is {given!r}; it takes {takes!r}")):
        Job.of("```python\nprint(4)\n```", {"inputs": ["2"], "outputs": ["4"]}, language=given)
    assert Job.of(f"```{takes}\nprint(4)\n```", {"inputs": ["2"], "outputs": ["4"]}, language=takes).program is not None
