"""Questions are files that may be replaced; what is put into them is data, whatever it looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.errors import ConfigError
from balancer.pipeline.llm.asker import Prompts

_ANY = {"name": "Sums", "statement": "Add.", "time_limit_s": 1.0, "most": 9}
_PROPOSE = {
    **_ANY,
    "examples": [{"input": "1 2\n", "output": "3\n"}],
    "reference": {"language": "python", "source": "print(3)"},
    "many_answers": False,
}
_REFINE = {
    **_ANY,
    "round": 1,
    "cases": [{"origin": "round 0: small 1", "rejected": ["wrong/1.py"]}],
    "failed": [{"origin": "round 0: small 2", "why": "exit code 1"}],
    "disagreed": [{"origin": "round 0: small 3", "why": "a: 3, b: 4"}],
    "refused": [{"origin": "round 0: small 4", "why": "too large"}],
    "complaints": ["llm: its generator fails"],
    "survivors": [{"name": "wrong/2.py", "language": "python", "source": "print(4)"}],
}


@pytest.mark.parametrize(
    ("file", "facts", "shown", "hidden"),
    [
        ("propose.md", _PROPOSE, ["Sums", "Add.", "1 2", "3", "print(3)", "up to 9 commands"], "checker ("),
        ("propose.md", {**_PROPOSE, "many_answers": True}, ["checker ("], "\0"),
        (
            "refine.md",
            _REFINE,
            [
                *("small 1: rejects wrong/1.py", "exit code 1", "a: 3, b: 4", "too large", "print(4)", "round 1"),
                "Each refusal names a rule",
            ],
            "\0",
        ),
        ("refine.md", {**_REFINE, "refused": []}, [], "names a rule"),
        ("system.md", {}, ["42"], "\0"),
    ],
)
def test_questions_show_all_that_there_is(file, facts, shown, hidden):
    text = Prompts(None).render(file, **facts)
    assert [words for words in shown if words not in text] == []
    assert hidden not in text


@given(st.text() | st.sampled_from(["{{ 7 * 7 }}", "{% for x in range(9**9) %}", "{# no #}", "{{", "\0", "```\n```"]))
def test_statement_is_text_whatever_it_looks_like(text):
    prompts = Prompts(None)
    assert text in prompts.render("propose.md", **{**_PROPOSE, "statement": text or "-"})
    assert text in prompts.render("refine.md", **{**_REFINE, "complaints": [text]})


def test_file_takes_the_place_of_ours_and_makes_another_version(tmp_path):
    (tmp_path / "refine.md").write_text("{{ name }}, again")
    ours, mine = Prompts(None), Prompts(str(tmp_path))
    assert mine.render("refine.md", **_REFINE) == "Sums, again"
    assert mine.render("propose.md", **_PROPOSE) == ours.render("propose.md", **_PROPOSE)
    assert len(mine.version) == 12
    assert mine.version != ours.version == Prompts(None).version


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{{ name", "refine.md: unexpected end"),
        (b"{{ examples }}", "refine.md: unknown 'examples' (known: cases, complaints, disagreed"),
        (b"\xff", "cannot be read: it is not UTF-8"),
        (None, "no such folder; name one with system.md, propose.md, refine.md"),
        # A template gets no Python, and fails in one line.
        (b"{{ ''.__class__.__mro__[1].__subclasses__() }}", "refine.md: "),
        (b"{{ cases.append(1) }}", "refine.md: "),
        (b"{{ name.foo.bar }}", "refine.md: "),
        (b"{{ 1 / 0 }}", "refine.md: division by zero"),
    ],
)
def test_file_that_is_no_use_is_named(tmp_path, text, words):
    folder = tmp_path if text is not None else tmp_path / "none"
    (tmp_path / "refine.md").write_bytes(text or b"")
    with pytest.raises(ConfigError) as caught:
        Prompts(str(folder)).render("refine.md", **_REFINE)
    assert str(caught.value).startswith("llm.prompts: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
