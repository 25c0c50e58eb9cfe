"""`make run` says beforehand what it installs and does, and how long that usually takes; and what it says is so."""

import re
import subprocess

import pytest

from tests.contracts.documents import ROOT
from tests.contracts.test_light import brought
from tests.patience import PATIENCE_S


def _told():
    """Return what `make run` prints in a fresh checkout, line by line, without doing it."""
    command = ["make", "--dry-run", "--always-make", "run"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return ran.stdout.splitlines()


def _place(lines, begin):
    return next(number for number, line in enumerate(lines) if begin in line)


def test_it_says_so_before_it_begins():
    lines = _told()
    assert _place(lines, 'echo "installing into .venv') < _place(lines, "pip install")
    assert _place(lines, 'echo "judging ') < _place(lines, "balancer run")
    for line in (lines[_place(lines, "installing into")], lines[_place(lines, "judging ")]):
        assert re.search(r"usually .*\d+ (s|min)", line), line


def test_the_numbers_are_those_of_today():
    text = "\n".join(_told())
    (problems,) = re.findall(r"judging (\d+) problems", text)
    assert int(problems) == len(list((ROOT / "examples" / "problems").glob("*/problem.yaml")))
    (packages,) = re.findall(r"about (\d+) packages", text)
    assert 0.75 * int(packages) <= len(brought(frozenset({"pipeline"})) | {"balancer", "pip"}) <= 1.25 * int(packages)


def test_every_word_is_explained_and_no_file():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (words,) = re.findall(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)
    assert sorted(words.split()) == sorted(re.findall(r"^([a-z-]+):.*## ", text, flags=re.MULTILINE))
    assert len(words.split()) <= 14


def test_the_tests_that_it_names_are_there():
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert named
    for file, test in named:
        assert (f"def {test}(" if test else "") in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


@pytest.mark.xdist_group("one")
def test_a_group_of_tests_stays_in_one_process(request):
    """What a module finds out once takes minutes; a pytest that xdist does not know ignores groups in silence."""
    grouping = bool(getattr(request.config.option, "loadgroup", False))
    assert request.node.nodeid.endswith("@one") is grouping
