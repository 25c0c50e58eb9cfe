"""What a model writes: an answer, or one line on why it is none; nothing else, whatever it writes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.llm.answer import (
    MOST_ANSWER,
    BadAnswer,
    ModelAnswer,
    ModelProgram,
    TargetedInput,
    read_answer,
)

_GOOD = {"inputs": ["1\n"]}


def _why(text, **more):
    with pytest.raises(BadAnswer) as caught:
        read_answer(text, **more)
    return str(caught.value)


def test_all_that_an_answer_may_hold():
    text = json.dumps(
        {
            "generator": {"language": "cpp", "source": "int main(){}"},
            "commands": ["small 1"],
            "validator": {"source": "exit(42)"},
            "checker": None,
            "inputs": ["1\n"],
            "aimed": [{"survivor": "wrong/1.py", "input": "2\n"}],
            "thoughts": "a key that nobody asked for does no harm",
        }
    )
    assert read_answer(text) == ModelAnswer(
        generator=ModelProgram(language="cpp", source="int main(){}"),
        commands=["small 1"],
        validator=ModelProgram(source="exit(42)"),
        inputs=["1\n"],
        aimed=[TargetedInput(survivor="wrong/1.py", input="2\n")],
    )


@pytest.mark.parametrize(
    "around",
    ["{}", "```json\n{}\n```", "Sure! Here it is: {} Good luck.", "<think>a set {{1}}</think> {}", "f(x) = {{x}}: {}"],
)
def test_json_among_other_words(around):
    assert read_answer(around.replace("{{", "{").replace("}}", "}").replace("{}", json.dumps(_GOOD))).inputs == ["1\n"]


@pytest.mark.parametrize(
    ("text", "more", "line"),
    [
        (None, {}, "the answer is empty"),
        (" \n", {}, "the answer is empty"),
        (None, {"cut": True}, "the answer is too long, and was cut off"),
        (None, {"refusal": "I must not"}, "the model refused: 'I must not'"),
        ("I cannot help with that.", {}, "the answer holds no JSON object: 'I cannot help with that.'"),
        ('{"inputs": ["1', {"cut": True}, 'the answer was cut off before its end: \'{"inputs": ["1\''),
        (
            '{"a": {"inputs": ["1"]}, "b',
            {"cut": True},
            'the answer was cut off before its end: \'{"a": {"inputs": ["1"]}, "b\'',
        ),
        ("[" * 100_000, {}, f"the answer holds no JSON object: '{'[' * 77}...'"),
        ('{"inputs": ' * 100_000, {}, None),
        ('{"a": 1' + "0" * 5000 + "}", {}, None),
        ("x" * (MOST_ANSWER + 1), {}, f"the answer has {MOST_ANSWER + 1} characters; {MOST_ANSWER} are allowed"),
        ("{}", {}, "the answer proposes no input: no commands, no inputs, nothing aimed at a survivor"),
        ('{"inputs": []}', {}, None),
        ('{"inputs": "1"}', {}, None),
        ('{"inputs": [1]}', {}, None),
        ('{"commands": {"small": 1}}', {}, None),
        ('{"generator": "print(1)"}', {}, None),
        ('{"generator": {"language": "bash", "source": "rm -rf /"}}', {}, None),
        ('{"generator": {"language": "python", "source": ""}}', {}, None),
        ('{"inputs": ["\\ud800"]}', {}, None),
        (json.dumps({"commands": ["small"] * 10**5}), {}, None),
        (json.dumps({"inputs": ["1"] * 10**6})[: MOST_ANSWER + 1], {}, None),
        (json.dumps({"inputs": ["1" * 10**6]}), {}, None),
        (json.dumps({"generator": {"source": "#" * 10**5}}), {}, None),
        (json.dumps({"aimed": [{"survivor": "x" * 1000, "input": "1"}]}), {}, None),
    ],
)
def test_an_answer_that_is_no_use_gets_one_line(text, more, line):
    found = _why(text, **more)
    assert "\n" not in found
    assert len(found) <= 300
    if line is not None:
        assert found == line


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ModelAnswer.model_fields, "source", "x"]), inner),
    max_leaves=12,
)


@given(st.text() | _JSON.map(json.dumps) | st.tuples(st.text(), _JSON.map(json.dumps), st.text()).map("".join))
def test_whatever_is_written_is_an_answer_or_a_line(text):
    try:
        answer, line = read_answer(text), ""
    except BadAnswer as error:
        answer, line = None, str(error)
    if answer is None:
        assert len(line.splitlines()) == 1
        assert len(line) <= 300
    else:
        assert answer.commands or answer.inputs or answer.aimed or answer.generator
        answer.model_dump_json().encode()
