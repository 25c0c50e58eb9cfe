"""What a model is asked for, with answers of the scripted one."""

import json
from dataclasses import replace
from random import Random

from balancer.pipeline.llm.answer import read_answer
from balancer.pipeline.llm.asker import AskResult, Prompts
from balancer.pipeline.llm.generator import ModelGenerator
from balancer.pipeline.llm.scripted import answer_to
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


def _case(number, data):
    return CaseFeedback(number, Origin("data", str(number)), data, ())


def _refused(why, *inputs):
    return [UnusedInput(Origin("llm", f"small {n}"), data, f"{why} {n}") for n, data in enumerate(inputs, 1)]


def test_a_model_is_told_each_rule_that_refusals_name_with_a_refused_input_beside_a_valid_one():
    refused = [
        *_refused("nothing to undo at line", b"3\nundo 1\nadd 2\nadd 3\n", b"1\nundo 1\n", b"2\nundo 0\nundo 1\n"),
        *_refused("count is", b"9\nadd 5\n", b"8\nadd 7\nadd 1\n"),
        *_refused("too long:", b"1\n" + b"add 1\n" * 500),
    ]
    cases = (_case(1, b"1\nadd 5\n"), _case(2, b"2\nadd 5\nundo 1\n"), _case(3, b"0\n"))
    feedback = Feedback(1, cases, (), (), tuple(refused), (), ())
    scripted = Scripted()
    known = replace(problem("1\nadd 5\n"), name="undo-log")
    proposed = list(ModelGenerator(scripted, Prompts(None), scripted).refine(known, feedback, Random(1), 9))
    (question,) = scripted.asked
    told = [line for line in question.splitlines() if "refused by the validator" in line]
    assert told == [
        "- 3 refused by the validator, such as small 2: nothing to undo at line 2",
        "- 2 refused by the validator, such as small 1: count is 1",
        "- 1 refused by the validator, such as small 1: too long: 1",
    ]
    assert (
        "Refused (nothing to undo at line 2):\n```\n1\nundo 1\n\n```\nValid, and like it:\n```\n2\nadd 5\nundo 1"
        in question
    )
    assert "Refused (count is 1):\n```\n9\nadd 5\n\n```\nValid, and like it:\n```\n1\nadd 5\n" in question
    assert "Refused (too long" not in question, "it is too large to be shown"
    assert [each.data for each in proposed] == [b"3\nadd 5\nundo 0\nadd 1\n"]
