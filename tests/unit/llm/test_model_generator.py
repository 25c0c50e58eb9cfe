"""What a model is asked for, with answers of the scripted one."""

import json
from dataclasses import replace
from random import Random

import pytest

from balancer.errors import ConfigError
from balancer.pipeline.llm.answer import read_answer
from balancer.pipeline.llm.asker import AskResult, Prompts
from balancer.pipeline.llm.generator import ModelGenerator
from balancer.pipeline.llm.scripted import ScriptedModel, answer_to
from balancer.pipeline.proposing import CaseFeedback, Feedback, UnusedInput
from balancer.problem import Origin
from tests.contracts.documents import ROOT
from tests.unit.pipeline.knowing import problem


class Scripted:
    """Asks the scripted model, and keeps the questions. Also a toolbox without programs."""

    many_answers = False

    def __init__(self):
        self.asked = []

    def ask(self, row, round, question, objection, pause):
        self.asked.append(question)
        answer = answer_to(question, ROOT / "examples/rows/model")
        return AskResult(read_answer(json.dumps({"inputs": answer["inputs"]})))

    def now(self, what): ...

    def note(self, line): ...

    def pause(self, seconds): ...

    def used(self, aid):
        return None


def test_model_is_told_what_was_refused_and_why():
    refused = tuple(UnusedInput(Origin("llm", f"small {n}"), b"1\nundo 1\n", f"no undo at {n}") for n in range(30))
    scripted = Scripted()
    known = replace(problem("1\nadd 5\n"), name="undo-log")
    case = CaseFeedback(1, Origin("data", "1"), b"1\nadd 5\n", ("wrong/1.py",))
    feedback = Feedback(1, (case,), (), (), refused, (), ())
    proposed = list(ModelGenerator(scripted, Prompts(None), scripted).refine(known, feedback, Random(1), 9))
    (question,) = scripted.asked
    told = [line for line in question.splitlines() if "refused by the validator" in line]
    assert told == [f"- small {n}: refused by the validator: no undo at {n}" for n in range(20)]
    assert "- 1: rejects wrong/1.py" in question
    assert [each.data for each in proposed] == [b"3\nadd 5\nundo 0\nadd 1\n"]


def test_scripted_model_needs_its_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"^llm\.scripted: .*no such folder; name one with a folder of answers"):
        ScriptedModel(tmp_path / "none")
