"""What a package says of a submission: by folder, and by submissions.yaml."""

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
    expected = expected_of(f"{folder}/a.py", {})
    assert expected.accepted is accepted
    assert accepted is not None or expected.why.startswith(f"folder {folder} does not say right or wrong")


def test_a_file_in_no_folder_says_nothing():
    assert expected_of("a.py", {}).why == "folder submissions does not say right or wrong"


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
    assert expected_of(name, rules).accepted is accepted


MATCHES: list[tuple[str, str, bool]] = [
    ("accepted", "accepted/a/b.py", True),
    ("*/a.py", "accepted/a.py", True),
    ("*/b.py", "accepted/a/b.py", False),
    ("accepted/a", "accepted/a.py", False),
    ("accepted/?.p[xy]", "accepted/a.py", True),
    ("accepted/a{,b}{.py,.cpp}", "accepted/ab.cpp", True),
    ("accepted/{x{1,2},y}.py", "accepted/x2.py", True),
    ("accepted/a+(b).py", "accepted/a+(b).py", True),
]


@pytest.mark.parametrize(("pattern", "path", "fits"), MATCHES)
def test_patterns(pattern, path, fits):
    assert matches(pattern, path) is fits


@pytest.mark.parametrize("pattern", ["{a,b}" * 40, "{" * 500, "*a" * 60 + "b", "[" * 200])
def test_a_hostile_pattern_takes_no_time(pattern):
    began = time.thread_time()
    matches(pattern, "a" * 200)
    assert time.thread_time() - began < 5
