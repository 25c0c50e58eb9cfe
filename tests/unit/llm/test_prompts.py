"""Questions are files that may be replaced; what is put into them is data, whatever it looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.errors import ConfigError
from balancer.pipeline.llm.asker import Prompts

_PROPOSE = {
    "name": "Sums",
    "statement": "Add.",
    "time_limit_s": 1.0,
    "examples": [{"input": "1 2\n", "output": "3\n"}],
    "reference": {"language": "python", "source": "print(3)"},
    "many_answers": False,
    "most": 9,
}
_REFINE = {
    "name": "Sums",
    "statement": "Add.",
    "time_limit_s": 1.0,
    "round": 1,
    "cases": [{"origin": "round 0: small 1", "rejected": ["wrong/1.py"]}],
    "failed": [{"origin": "round 0: small 2", "why": "exit code 1"}],
    "disagreed": [{"origin": "round 0: small 3", "why": "a: 3, b: 4"}],
    "refused": [{"origin": "round 0: small 4", "why": "too large"}],
    "complaints": ["llm: its generator fails"],
    "survivors": [{"name": "wrong/2.py", "language": "python", "source": "print(4)"}],
    "most": 9,
}


def test_our_own_questions_show_all_that_there_is():
    prompts = Prompts(None)
    first = prompts.propose(**_PROPOSE)
    for words in ("Sums", "Add.", "1 2", "3", "print(3)", "up to 9 commands"):
        assert words in first
    assert "checker (" not in first
    assert "checker (" in prompts.propose(**{**_PROPOSE, "many_answers": True})
    later = prompts.refine(**_REFINE)
    for words in ("small 1: rejects wrong/1.py", "exit code 1", "a: 3, b: 4", "too large", "print(4)", "round 1"):
        assert words in later
    assert "Each refusal names a rule" in later
    assert "names a rule" not in prompts.refine(**{**_REFINE, "refused": []})
    assert "42" in prompts.system()


@given(st.text() | st.sampled_from(["{{ 7 * 7 }}", "{% for x in range(9**9) %}", "{# no #}", "{{", "\0", "```\n```"]))
def test_a_statement_is_text_whatever_it_looks_like(text):
    prompts = Prompts(None)
    assert text in prompts.propose(**{**_PROPOSE, "statement": text or "-"})
    assert text in prompts.refine(**{**_REFINE, "complaints": [text]})


def test_a_file_takes_the_place_of_ours_and_makes_another_version(tmp_path):
    (tmp_path / "refine.md").write_text("{{ name }}, again")
    ours, mine = Prompts(None), Prompts(str(tmp_path))
    assert mine.refine(**_REFINE) == "Sums, again"
    assert mine.propose(**_PROPOSE) == ours.propose(**_PROPOSE)
    assert len(mine.version) == 12
    assert mine.version != ours.version == Prompts(None).version


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{{ name", "refine.md: unexpected end"),
        (b"{% nonsense %}", "refine.md: Encountered unknown tag"),
        (b"{{ examples }}", "refine.md: unknown 'examples' (known: cases, complaints, disagreed"),
        (b"\xff", "cannot be read: it is not UTF-8"),
    ],
)
def test_a_file_that_is_no_use_is_named_before_anything_is_asked(tmp_path, text, words):
    (tmp_path / "refine.md").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        Prompts(str(tmp_path))
    assert str(caught.value).startswith("llm.prompts: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ cases.append(1) }}", "{{ name.foo.bar }}", "{{ 1 / 0 }}"],
)
def test_a_template_gets_no_python_and_fails_in_one_line(tmp_path, text):
    (tmp_path / "refine.md").write_text(text)
    with pytest.raises(ConfigError, match=r"^llm\.prompts: refine\.md: .+$"):
        Prompts(str(tmp_path)).refine(**_REFINE)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"no such folder; name one with system\.md, propose\.md, refine\.md"):
        Prompts(str(tmp_path / "none"))
