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


def test_answer_may_hold_all_of_this():
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
def test_json_is_found_among_other_words(around):
    assert read_answer(around.replace("{{", "{").replace("}}", "}").replace("{}", json.dumps(_GOOD))).inputs == ["1\n"]


@pytest.mark.parametrize(
    ("text", "more", "line"),
    [
        (" \n", {}, "the answer is empty"),
        (None, {"cut": True}, "the answer is too long, and was cut off"),
        (None, {"refusal": "I must not"}, "the model refused: 'I must not'"),
        (
            '{"a": {"inputs": ["1"]}, "b',
            {"cut": True},
            'the answer was cut off before its end: \'{"a": {"inputs": ["1"]}, "b\'',
        ),
        ("[" * 100_000, {}, f"the answer holds no JSON object: '{'[' * 77}...'"),
        ('{"inputs": ' * 100_000, {}, "the answer holds no JSON object"),
        ('{"a": 1' + "0" * 5000 + "}", {}, "the answer holds no JSON object"),
        ("x" * (MOST_ANSWER + 1), {}, f"the answer has {MOST_ANSWER + 1} characters; {MOST_ANSWER} are allowed"),
        ("{}", {}, "the answer proposes no input: no commands, no inputs, nothing aimed at a survivor"),
        ('{"inputs": [1, 2]}', {}, "inputs.0: input should be a valid string (and 1 more)"),
        ('{"generator": {"language": "bash", "source": "rm -rf /"}}', {}, "generator.language: "),
        ('{"generator": {"language": "python", "source": ""}}', {}, "generator.source: "),
        ('{"inputs": ["\\ud800"]}', {}, "inputs.0: "),
        *(
            (json.dumps(answer), {}, where)
            for answer, where in (
                ({"commands": ["small"] * 201}, "commands: "),
                ({"commands": ["x" * 201]}, "commands.0: "),
                ({"inputs": ["1"] * 101}, "inputs: "),
                ({"inputs": ["1" * 10**6]}, "inputs.0: "),
                ({"generator": {"source": "#" * 10**5}}, "generator.source: "),
                ({"aimed": [{"survivor": "x" * 1000, "input": "1"}]}, "aimed.0.survivor: "),
            )
        ),
    ],
)
def test_answer_that_is_no_use_gets_one_line(text, more, line):
    with pytest.raises(BadAnswer) as caught:
        read_answer(text, **more)
    found = str(caught.value)
    assert found.startswith(line)
    assert "\n" not in found
    assert len(found) <= 300


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ModelAnswer.model_fields, "source", "x"]), inner),
    max_leaves=12,
)


@given(st.text() | _JSON.map(json.dumps) | st.tuples(st.text(), _JSON.map(json.dumps), st.text()).map("".join))
def test_text_of_a_model_is_an_answer_or_a_line(text):
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
