"""Secrets out of texts, however they are written there; and nothing else."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.values.redaction import Redaction

_letters = "aAbé1{}. \n\\\"'"


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("hush", "a hush b hush", "a *** b ***"),
        ("hush", "HuSh", "***"),
        ("hush", "hus h", "hus h"),
        ("a.c", "abc a.c", "abc ***"),
        ("Bearer hush", "Bearer \n hush", "***"),
        ("a\nb", "a b", "***"),
        ('say "hush"', json.dumps({"header": 'say "hush"'}), '{"header": "***"}'),
        ("it's\\", repr("it's\\"), '"***"'),
        ("h{1..4}.z", "h3.z h{1..4}.z h{1..5}.z", "*** *** h{1..5}.z"),
        ("", "abc", "abc"),
    ],
)
def test_a_secret_is_found_however_it_is_written(secret, text, shown):
    assert Redaction.of([(secret, "***")])(text) == shown


def test_the_longest_secret_goes_first_and_each_has_its_stand_in():
    redact = Redaction.of([("hush", "${A}"), ("hush-hush", "${B}"), ("x", "${C}")])
    assert redact("hush hush-hush x") == "${A} ${B} ${C}"


def test_a_short_secret_is_hidden_where_it_is_all_there_is():
    redact = Redaction.of([("abc", "${A}"), ("{1..4}", "${R}"), ("abcd", "${B}")], least=4)
    assert [redact(text) for text in ("abc", "abc.", "abcd.", "3", "10.0.0.3", "{1..4}")] == [
        "${A}",
        "abc.",
        "${B}.",
        "${R}",
        "10.0.0.3",
        "${R}",
    ]


def test_without_secrets_nothing_changes():
    assert Redaction()("abc") == Redaction.of([])("abc") == "abc"


def test_it_can_be_copied_and_sent_to_a_process():
    redact = Redaction.of([("hush", "***")])
    assert copy.deepcopy(redact) == pickle.loads(pickle.dumps(redact)) == redact


@given(
    secrets=st.lists(st.text(_letters, min_size=1, max_size=6), min_size=1, max_size=4),
    text=st.text(_letters, max_size=30),
)
def test_no_secret_is_left(secrets, text):
    redact = Redaction.of((secret, "*") for secret in secrets)
    for secret in secrets:
        shown = redact(f"{text}{secret}{text}")
        assert not any(each in shown for each in secrets)
