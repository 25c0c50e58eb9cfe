"""Files: complete or not there."""

import json
import math

import pytest

from balancer.reporting.files import json_text, put_text


def test_a_text_is_put_where_it_is_told_and_nothing_else(tmp_path):
    path = put_text(tmp_path / "deep" / "results" / "a.txt", "gr\u00f6\u00dfer\n")
    assert path.read_bytes() == "gr\u00f6\u00dfer\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_leaves_what_was_there(tmp_path):
    path = put_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        put_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_usual_permissions(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    assert put_text(tmp_path / "a.txt", "").stat().st_mode == usual.stat().st_mode


def test_json_has_null_for_what_it_cannot_say():
    text = json_text({"a": [math.nan, 1.5], "b": (math.inf, {"c": -math.inf}), "d": True})
    assert json.loads(text) == {"a": [None, 1.5], "b": [None, {"c": None}], "d": True}
    assert text.endswith("}\n")
