"""A question is asked until there is an answer that can be used; one that was received is never asked for again."""

import json
from dataclasses import replace

import pytest

from balancer.pipeline.llm.answer import ModelAnswer
from balancer.pipeline.llm.asker import Asker, ModelAccount, Prompts
from balancer.pipeline.llm.client import Declined, ModelReply, NotAnswered
from balancer.pipeline.results.records import ModelUsage
from balancer.pipeline.results.store import Store
from balancer.settings.llm import LlmSettings

_GOOD, _PROSE = '{"inputs": ["1\\n"]}', "I cannot help with that."
_HOSTILE = "\0 ' \" ; DROP TABLE answers; \x1b[2J {{ x }} " + "x" * 1000


class Servers:
    """Give one reply after the other, and note the questions."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.asked = []

    def ask(self, messages, pause):
        self.asked.append([dict(each) for each in messages])
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def answers(tmp_path):
    with Store(tmp_path / "results") as store:
        yield store.answers


def _reply(text, **more):
    return replace(ModelReply(text, None, False, 10, 5), **more)


def _asker(servers, answers, prompts=None, **more):
    settings = LlmSettings.model_validate({"model": "m", "scripted": "-", "max_output_tokens": 100, **more})
    ticks = iter(range(10**6))
    account = ModelAccount(settings.budget)
    return Asker(settings, servers, account, answers, prompts or Prompts(None), lambda: float(next(ticks)))


@pytest.mark.parametrize(
    ("replies", "answer", "lines"),
    [
        ([_reply(_GOOD)], ModelAnswer(inputs=["1\n"]), ()),
        (
            [_reply(_PROSE), _reply(None, refusal="no"), _reply('{"inp', cut=True)],
            None,
            (
                f"round 0, attempt 1: the answer holds no JSON object: '{_PROSE}'",
                "round 0, attempt 2: the model refused: 'no'",
                "round 0, attempt 3: the answer was cut off before its end: '{\"inp'",
            ),
        ),
    ],
)
def test_answer_good_or_bad_is_asked_for_once_in_all_sessions(answers, replies, answer, lines):
    servers = Servers(*replies)
    for _ in range(2):
        asked = _asker(servers, answers).ask("row", 0, "question")
        assert (asked.answer, asked.lines) == (answer, lines)
    assert [len(messages) for messages in servers.asked] == [2, 4, 6][: len(replies)]
    assert answers.used() == {"row": ModelUsage(*(len(replies) * each for each in (1, 10, 5, 1.0)))}
    if answer is None:
        assert _PROSE in servers.asked[1][2]["content"]
        assert "holds no JSON object" in servers.asked[1][3]["content"]


def test_answer_is_stored_whatever_a_model_says(tmp_path):
    servers, asked = Servers(_reply(_HOSTILE), _reply(None), _reply(_GOOD)), []
    for _ in range(2):
        with Store(tmp_path) as store:
            asked.append(_asker(servers, store.answers).ask("row", 0, "question"))
    assert asked[0] == asked[1]


@pytest.mark.parametrize("other", ["row", "round", "question", "model", "prompts"])
def test_answer_of_another_question_is_another_one(answers, other, tmp_path):
    (tmp_path / "system.md").write_text("something else")
    servers = Servers(*[_reply(_GOOD)] * 2)
    for now in ("", other):
        prompts = Prompts(str(tmp_path)) if now == "prompts" else None
        asker = _asker(servers, answers, prompts, model="another" if now == "model" else "m")
        question = "other" if now == "question" else "question"
        asker.ask("other" if now == "row" else "row", int(now == "round"), question)
    assert len(servers.asked) == 2


def test_objection_goes_back_and_the_last_usable_answer_stands(answers):
    texts = (_GOOD, json.dumps({"inputs": ["2\n"]}), _PROSE)
    servers = Servers(*map(_reply, texts))
    for place in ("0x7f01", "0x7f99"):  # words that differ after a restart cost no answer
        objection = lambda answer, place=place: f"not {answer.inputs[0].strip()} at {place}"  # noqa: E731
        asked = _asker(servers, answers).ask("row", 1, "question", objection)
        assert asked.answer == ModelAnswer(inputs=["2\n"])
        assert asked.lines[:2] == tuple(f"round 1, attempt {n}: not {n} at {place}" for n in (1, 2))
        assert len(asked.lines) == 3
    assert servers.asked[2][5]["content"].startswith("That cannot be used: not 2 at 0x7f01.")


@pytest.mark.parametrize(("less", "times"), [(0, 1), (1, 0)])
def test_budget_that_is_spent_asks_nobody(answers, less, times):
    servers = Servers(_reply(_PROSE), _reply(_PROSE))
    once = len(Prompts(None).render("system.md")) + 1000 + 32 + 100  # a question and its answer, token for byte
    asked = _asker(servers, answers, budget={"row_tokens": once - less}).ask("row", 0, "x" * 1000)
    assert asked.answer is None
    assert asked.lines[-1].startswith("round 0: the model was not asked: [llm.budget] row_tokens = ")
    assert len(servers.asked) == times


def test_question_that_is_declined_is_one_line_and_one_without_a_server_is_asked_again(answers):
    servers = Servers(Declined("http://h/: too long"), NotAnswered("down"), _reply(_GOOD))
    asked = _asker(servers, answers).ask("row", 0, "question")
    assert asked.lines == ("round 0: the model was not asked: http://h/: too long",)
    with pytest.raises(NotAnswered, match="down"):
        _asker(servers, answers).ask("row", 0, "question")
    assert _asker(servers, answers).ask("row", 0, "question").answer == ModelAnswer(inputs=["1\n"])
