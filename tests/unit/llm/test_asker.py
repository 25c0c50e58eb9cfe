"""A question is asked until there is an answer that can be used; one that was received is never asked for again."""

import json
from dataclasses import dataclass, field, replace

import pytest

from balancer.pipeline.llm.answer import ModelAnswer
from balancer.pipeline.llm.asker import Asker, ModelAccount, Prompts
from balancer.pipeline.llm.client import Declined, ModelReply, NotAnswered
from balancer.pipeline.results.records import StoredAnswer, TokenUsage
from balancer.pipeline.results.store import Store
from balancer.settings.llm import LlmSettings

_GOOD = json.dumps({"inputs": ["1\n"]})
_PROSE = "I cannot help with that."


@dataclass
class Servers:
    """Give one reply after the other, and note the questions."""

    replies: list[ModelReply | Exception]
    asked: list[list[dict[str, str]]] = field(default_factory=list)

    def ask(self, messages, pause):
        """Give the next one."""
        self.asked.append([dict(each) for each in messages])
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


@dataclass
class Remembers:
    """Remembers answers."""

    kept: dict[str, StoredAnswer] = field(default_factory=dict)

    def recall(self, key):
        """Return it."""
        return self.kept.get(key)

    def remember(self, key, row, round, attempt, answer):
        """Keep it."""
        assert key not in self.kept, "asked for twice"
        self.kept[key] = answer


def _reply(text, **more):
    return replace(ModelReply(text, None, False, 10, 5), **more)


def _asker(servers, memory, prompts=None, **more):
    settings = LlmSettings.model_validate({"model": "m", "scripted": "-", "max_output_tokens": 100, **more})
    account = ModelAccount(settings.budget)
    ticks = iter(range(10**6))
    return Asker(settings, servers, account, memory, prompts or Prompts(None), lambda: float(next(ticks)))


def test_a_good_answer_is_asked_for_once_in_all_sessions():
    memory, servers = Remembers(), Servers([_reply(_GOOD)])
    for _ in range(3):
        asked = _asker(servers, memory).ask("row", 0, "question")
        assert asked.answer == ModelAnswer(inputs=["1\n"])
        assert asked.lines == ()
    assert len(servers.asked) == 1
    (stored,) = memory.kept.values()
    assert stored == StoredAnswer("m", Prompts(None).version, _GOOD, None, False, TokenUsage(10, 5, 1.0))


def test_bad_answers_are_not_asked_for_again_either():
    memory, servers = Remembers(), Servers([_reply(_PROSE), _reply(None, refusal="no"), _reply('{"inp', cut=True)])
    lines = (
        f"round 0, attempt 1: the answer holds no JSON object: '{_PROSE}'",
        "round 0, attempt 2: the model refused: 'no'",
        "round 0, attempt 3: the answer was cut off before its end: '{\"inp'",
    )
    for _ in range(2):
        asked = _asker(servers, memory).ask("row", 0, "question")
        assert (asked.answer, asked.lines) == (None, lines)
    assert len(servers.asked) == 3
    assert [len(messages) for messages in servers.asked] == [2, 4, 6]
    assert _PROSE in servers.asked[1][2]["content"]
    assert "holds no JSON object" in servers.asked[1][3]["content"]


@pytest.mark.parametrize("other", ["row", "round", "question", "model", "prompts"])
def test_another_question_is_another_answer(other, tmp_path):
    memory, servers = Remembers(), Servers([_reply(_GOOD)] * 2)
    _asker(servers, memory).ask("row", 0, "question")
    (tmp_path / "system.md").write_text("something else")
    asker = _asker(
        servers,
        memory,
        Prompts(str(tmp_path)) if other == "prompts" else None,
        model="another" if other == "model" else "m",
    )
    asker.ask(
        "other" if other == "row" else "row", int(other == "round"), "other" if other == "question" else "question"
    )
    assert len(servers.asked) == 2


def test_an_objection_goes_back_and_the_last_answer_stands():
    servers = Servers([_reply(_GOOD), _reply(json.dumps({"inputs": ["2\n"]})), _reply(json.dumps({"inputs": ["3\n"]}))])
    asked = _asker(servers, Remembers()).ask("row", 1, "question", lambda answer: f"not {answer.inputs[0].strip()}")
    assert asked.answer == ModelAnswer(inputs=["3\n"])
    assert asked.lines == tuple(f"round 1, attempt {n}: not {n}" for n in (1, 2, 3))
    assert servers.asked[2][5]["content"].startswith("That cannot be used: not 2.")


def test_a_usable_answer_stands_though_the_next_ones_are_no_use():
    servers = Servers([_reply(_GOOD), _reply(_PROSE), _reply(_PROSE)])
    asked = _asker(servers, Remembers()).ask("row", 0, "question", lambda answer: "its validator is wrong")
    assert asked.answer == ModelAnswer(inputs=["1\n"])
    assert len(asked.lines) == 3


def test_an_objection_that_is_worded_otherwise_after_a_restart_costs_no_answer():
    memory, servers = Remembers(), Servers([_reply(_GOOD)] * 3)
    for words in ("tried at 0x7f01", "tried at 0x7f99"):
        _asker(servers, memory).ask("row", 0, "question", lambda answer, words=words: words)
    assert len(servers.asked) == 3


def test_a_budget_that_is_spent_asks_nobody():
    servers = Servers([_reply(_PROSE), _reply(_PROSE)])
    question = "x" * 1000
    system = len(Prompts(None).system())
    budget = {"row_tokens": system + 1000 + 32 + 100}  # exactly one question and its answer, token for byte
    asked = _asker(servers, Remembers(), budget=budget).ask("row", 0, question)
    assert asked.answer is None
    assert asked.lines[-1].startswith("round 0: the model was not asked: [llm.budget] row_tokens = ")
    assert len(servers.asked) == 1
    tight = {"row_tokens": budget["row_tokens"] - 1}
    assert len(_asker(servers, Remembers(), budget=tight).ask("row", 0, question).lines) == 1
    assert len(servers.asked) == 1, "not even once"


def test_a_declined_question_is_one_line():
    asked = _asker(Servers([Declined("http://h/: too long")]), Remembers()).ask("row", 0, "question")
    assert asked.lines == ("round 0: the model was not asked: http://h/: too long",)


def test_a_question_without_a_server_is_not_remembered():
    memory = Remembers()
    with pytest.raises(NotAnswered, match="down"):
        _asker(Servers([NotAnswered("down")]), memory).ask("row", 0, "question")
    assert memory.kept == {}


def test_the_store_remembers_whatever_a_model_says(tmp_path):
    hostile = "\0 ' \" ; DROP TABLE answers; \x1b[2J {{ x }} " + "x" * 1000
    with Store(tmp_path) as store:
        servers = Servers([_reply(hostile), _reply(None), _reply(_GOOD)])
        first = _asker(servers, store.answers).ask("row", 0, "question")
        used = store.answers.used()
        assert used == {"row": TokenUsage(30, 15, 3.0)}
    with Store(tmp_path) as store:
        assert _asker(servers, store.answers).ask("row", 0, "question") == first
        assert store.answers.used() == used
