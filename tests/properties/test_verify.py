"""Whoever lies is found out, and nobody else: over all ways in which up to four answers may come."""

from hypothesis import given
from hypothesis import strategies as st

from balancer.judging.trust import (
    LONG_ROW,
    AskAgain,
    AskElsewhere,
    Settled,
    Trust,
    Unsettled,
    Vote,
    next_check,
    said,
)
from balancer.program import Execution, Status
from balancer.settings.pipeline import VerifySettings

NAMES = ("a", "b", "c", "d")
WORDS = st.sampled_from([b"x", b"y", b"z", None])


def _through(answers: dict[str, list[bytes | None]], names: tuple[str, ...]) -> tuple[Settled | Unsettled, list[Vote]]:
    """Ask until it is over; `answers` are what each endpoint says, the first time, the second time, ..."""
    asked = [names[0]]
    words: list[Vote] = []
    times = dict.fromkeys(names, 0)
    while True:
        name = asked[-1]
        words.append(Vote(name, answers[name][min(times[name], len(answers[name]) - 1)]))
        times[name] += 1
        fresh = [each for each in names if not times[each]]
        step = next_check(words, more=bool(fresh))
        if isinstance(step, AskElsewhere):
            assert fresh, "it asks for somebody who is not there"
            asked.append(fresh[0])
        elif isinstance(step, AskAgain):
            asked.append(step.endpoint)
        else:
            return step, words
        assert len(words) <= 6


@given(st.integers(2, 4), st.data())
def test_it_ends_after_few_looks_and_outvotes_only_who_said_otherwise(many, data):
    names = NAMES[:many]
    answers = {name: data.draw(st.lists(WORDS, min_size=1, max_size=3)) for name in names}
    found, words = _through(answers, names)
    assert len(words) <= 6
    if isinstance(found, Settled):
        assert sum(word.said == found.said for word in words) > 1, "one answer outvotes nobody"
        for name in found.outvoted:
            assert any(word.endpoint == name and word.said not in (None, found.said) for word in words)
        assert not found.agreed & found.outvoted


@given(st.integers(3, 4), st.data())
def test_one_liar_among_three_is_outvoted_and_the_truth_counts(many, data):
    names = NAMES[:many]
    liar = data.draw(st.sampled_from(names))
    lies = data.draw(st.lists(st.sampled_from([b"x", b"y", b"truth"]), min_size=1, max_size=3))
    found, words = _through({name: lies if name == liar else [b"truth"] for name in names}, names)
    assert isinstance(found, Settled)
    assert found.said == b"truth"
    lied = any(word.endpoint == liar and word.said != b"truth" for word in words)
    assert found.outvoted == (frozenset({liar}) if lied else frozenset())


@given(st.permutations(["a", "b"]), st.lists(st.sampled_from([b"x", b"y", b"z"]), min_size=2, max_size=2, unique=True))
def test_of_two_the_one_that_contradicts_itself_is_outvoted(names, lies):
    found, _ = _through({"a": [b"truth"], "b": [lies[0], b"truth"]}, tuple(names))
    assert found == Settled(b"truth", frozenset("a"), frozenset("b"))


def test_of_two_that_both_stay_with_it_nobody_can_tell():
    found, _ = _through({"a": [b"x"], "b": [b"y"]}, ("a", "b"))
    assert found == Unsettled(frozenset("ab"))


def test_a_program_that_says_something_else_each_time_outvotes_nobody():
    for names in (("a", "b"), ("a", "b", "c")):
        count = iter(range(100))
        answers: dict[str, list[bytes | None]] = {name: [b"%d" % next(count), b"%d" % next(count)] for name in names}
        assert _through(answers, names)[0] == Unsettled(frozenset(names))


def test_what_cannot_be_compared_is_no_lie():
    assert said(Execution(Status.TIME_LIMIT)) is None
    assert said(Execution(Status.FINISHED, doubtful=True, exit_code=0)) is None
    assert next_check([Vote("a", None)], more=True) == Unsettled()
    found, _ = _through({"a": [b"x"], "b": [None]}, ("a", "b"))
    assert found == Unsettled()


def test_output_and_exit_code_are_compared_and_nothing_else():
    one = Execution(Status.FINISHED, b"1", exit_code=0, time_s=1.0, memory_bytes=7)
    assert said(one) == said(Execution(Status.FINISHED, b"1", b"words", exit_code=0, time_s=2.0))
    assert said(one) != said(Execution(Status.FINISHED, b"1", exit_code=3))
    assert said(one) != said(Execution(Status.FINISHED, b"1\n", exit_code=0))


# -- endpoints -----------------------------------------------------------------------------------------


def _trust(**settings: float) -> Trust:
    return Trust(VerifySettings.model_validate(settings), NAMES)


def test_the_first_runs_are_looked_at_then_a_share():
    trust = _trust(first=3, share=0.25)
    for _ in range(3):
        assert trust.verifies("a", 0.99)
        trust.agreed("a")
    assert not trust.verifies("a", 0.25)
    assert trust.verifies("a", 0.24)


def test_one_that_was_outvoted_is_looked_at_for_long():
    trust = _trust(first=3, share=0)
    trust.outvoted("a", None)
    for number in range(LONG_ROW):
        assert trust.verifies("a", 0.5)
        assert trust.agreed("a") is (number == LONG_ROW - 1)
    assert not trust.verifies("a", 0.5)


def test_two_programs_eject_and_one_alone_does_not_however_often():
    trust = _trust()
    assert not any(trust.outvoted("a", "one") for _ in range(9))
    assert not trust.outvoted("a", None)
    assert trust.outvoted("a", "two")
    assert trust.ejected == {"a"}


def test_a_long_row_clears_it_of_what_one_program_said():
    trust = _trust()
    trust.outvoted("a", "one")
    for _ in range(LONG_ROW):
        trust.agreed("a")
    assert not trust.outvoted("a", "two")
    assert trust.outvoted("a", "three")


def test_a_program_that_contradicts_itself_never_was_a_witness():
    trust = _trust()
    trust.outvoted("a", "coin")
    trust.unsteady("coin")
    assert not trust.outvoted("a", "two")
    assert trust.outvoted("a", "three")


def test_a_program_whose_answer_is_known_ejects_at_once():
    trust = _trust()
    assert trust.failed("b")
    assert not trust.failed("b"), "once"


def test_a_program_that_finds_fault_with_two_is_no_witness():
    trust = _trust()
    trust.outvoted("a", "random")
    trust.outvoted("b", "random")
    assert not trust.outvoted("a", "two")
    assert trust.outvoted("a", "three")


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["p", "q", "r", None]), st.booleans())))
def test_one_endpoint_is_always_kept(what):
    trust = _trust()
    for name, witness, known in what:
        ejected = trust.failed(name) if known else trust.outvoted(name, witness)
        assert not ejected or name in trust.ejected
    assert len(trust.ejected) < len(NAMES)


@given(st.integers(2, 12))
def test_programs_that_toss_a_coin_eject_nobody(tosses):
    """Each of them says 0 or 1, so it outvotes now this one, now that one, of three honest endpoints."""
    trust = _trust()
    for program in range(tosses):
        for name in "abc":
            trust.outvoted(name, program)
    assert not trust.ejected
