"""What a package says of a submission: by folder, by submissions.yaml, by a tag."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from balancer.pipeline.packages.submissions import expected_of, matches

FOLDERS: dict[bool | None, str] = {
    True: "accepted",
    False: "wrong_answer time_limit_exceeded run_time_error rejected brute_force memory_limit_exceeded memory-limit "
    "output_limit no_output TLE",
    None: "mixed mixed-verdicts different multiple slow_accepted partially_accepted compiler_error check_manually",
}


@pytest.mark.parametrize(
    ("folder", "accepted"), [(folder, accepted) for accepted, names in FOLDERS.items() for folder in names.split()]
)
def test_a_folder_means_right_wrong_or_nothing(folder, accepted):
    expected = expected_of(f"{folder}/a.py", {}, ["print(1)"])
    assert expected.accepted is accepted
    assert accepted is not None or expected.why.startswith(f"folder {folder} does not say right or wrong")


def test_a_file_in_no_folder_says_nothing():
    assert expected_of("a.py", {}, []).why == "folder submissions does not say right or wrong"


TAGS: list[tuple[str, bool | None, str]] = [
    ("WRONG-ANSWER", False, "wrong_answer"),
    ("WRONG_ANSWER, TIMELIMIT", False, "wrong_answer"),
    ("run_time_error", False, "run_time_error"),
    ("RUN-ERROR,TIMELIMIT", False, "run_time_error"),
    ("TIME_LIMIT_EXCEEDED", False, "time_limit_exceeded"),
    ("NO-OUTPUT", False, "no_output"),
    ("CORRECT", True, "accepted"),
    ("ACCEPTED", True, "accepted"),
    ("RUN_TIME_ERROR , ACCEPTED", None, "mixed"),
    ("COMPILER-ERROR", None, "compiler_error"),
    ("CHECK-MANUALLY", None, "check_manually"),
]


@pytest.mark.parametrize(("tag", "accepted", "label"), TAGS)
def test_a_tag_counts_where_the_folder_says_nothing(tag, accepted, label):
    text = f"/*\n * @EXPECTED_RESULTS@: {tag}\n */\nint main() {{}}\n"
    found = expected_of("mixed/a.c", {}, ["", text])
    assert (found.accepted, found.label) == (accepted, label)
    assert expected_of("rejected/a.c", {}, [text]).accepted is accepted
    assert expected_of("wrong_answer/a.c", {}, [text]).accepted is False, "in the four official folders it is ignored"


def test_tags_that_differ_say_nothing():
    texts = ["# @EXPECTED_RESULTS@: CORRECT", "# @EXPECTED_RESULTS@: WRONG-ANSWER"]
    assert expected_of("mixed/a", {}, texts).why == "it has several @EXPECTED_RESULTS@ that differ"
    assert expected_of("mixed/a", {}, [texts[1]] * 2).accepted is False


RULES: list[tuple[Mapping[str, Any], str, bool | None]] = [
    ({"mine": {"permitted": ["AC"]}}, "mine/a.py", True),
    ({"mine": {"permitted": ["AC", "WA"], "required": ["WA"]}}, "mine/a.py", False),
    ({"mine": {"permitted": ["WA", "TLE"]}}, "mine/a.py", False),
    ({"mine": {"permitted": ["AC", "WA"]}}, "mine/a.py", None),
    ({"mine/a.*": {"required": ["TLE"]}, "mine": {"permitted": ["AC", "TLE"]}}, "mine/a.py", False),
    ({"mine/a.*": {"required": ["TLE"]}}, "mine/b.py", None),
    ({"mine/{a,b}.{py,cpp}": {"permitted": ["AC"]}}, "mine/b.cpp", True),
    # A folder of the format means what it means, unless its own name says otherwise.
    ({"accepted": {"authors": "me"}}, "accepted/a.py", True),
    ({"accepted/*": {"required": ["AC"]}}, "accepted/a.py", True),
    ({"accepted": {"permitted": ["WA"], "required": ["WA"]}}, "accepted/a.py", False),
    ({"wrong_answer": {"permitted": ["AC", "WA", "TLE"]}}, "wrong_answer/a.py", False),
    ({"accepted/*": {"required": ["WA"]}}, "accepted/a.py", None),  # an additional demand: they contradict each other
    # Demands on some of the data alone.
    ({"mine/a.py": {"secret/group2": {"permitted": ["AC", "TLE"], "required": ["TLE"]}}}, "mine/a.py", False),
    ({"mine/a.py": {"sample": {"permitted": ["AC"]}}}, "mine/a.py", None),
    # Nonsense says nothing.
    ({"mine": {"permitted": "everything"}}, "mine/a.py", None),
    ({"mine": ["AC"], "*": None}, "mine/a.py", None),
]


@pytest.mark.parametrize(("rules", "name", "accepted"), RULES)
def test_rules_of_submissions_yaml(rules, name, accepted):
    assert expected_of(name, rules, []).accepted is accepted


def test_a_tag_decides_where_rules_allow_everything():
    rules = {"mixed": {"permitted": ["AC", "WA", "TLE", "RTE"]}}
    assert expected_of("mixed/a.c", rules, ["@EXPECTED_RESULTS@: TIMELIMIT"]).accepted is False


MATCHES: list[tuple[str, str, bool]] = [
    ("accepted", "accepted/a/b.py", True),
    ("accepted/*", "accepted/a.py", True),
    ("*/a.py", "accepted/a.py", True),
    ("*", "accepted/a.py", True),
    ("*/b.py", "accepted/a/b.py", False),
    ("a.py", "accepted/a.py", False),
    ("accepted/a", "accepted/a.py", False),
    ("accepted/?.p[xy]", "accepted/a.py", True),
    ("accepted/a{,b}{.py,.cpp}", "accepted/ab.cpp", True),
    ("accepted/{x{1,2},y}.py", "accepted/x2.py", True),
    ("accepted/a+(b).py", "accepted/a+(b).py", True),
    ("a*b*c", "axxbyyc", True),
    ("a*b*c", "axxbyy", False),
]


@pytest.mark.parametrize(("pattern", "path", "fits"), MATCHES)
def test_patterns(pattern, path, fits):
    assert matches(pattern, path) is fits


@pytest.mark.parametrize("pattern", ["{a,b}" * 40, "{" * 500, "*a" * 60 + "b", "[" * 200])
def test_a_hostile_pattern_takes_no_time(pattern):
    began = time.thread_time()
    matches(pattern, "a" * 200)
    assert time.thread_time() - began < 5
