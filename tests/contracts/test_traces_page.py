"""The lines of jq and awk on docs/prediction.md make tables that `balancer fit` reads, of a log of each program."""

import re
import shutil
import subprocess
from collections import Counter
from datetime import UTC

import pytest

from balancer.observing.traces import write_trace
from balancer.observing.traces.importers import LogOptions, import_logs
from tests.contracts.documents import ROOT, blocks

_LINES = [each for each in blocks(ROOT / "docs" / "prediction.md") if each.language == "sh"]
_FROM = re.compile(r"' (\S+) > (calls\.(jsonl|csv))$")
_MADE = [each for each in _LINES if _FROM.search(each.code)]
# log: outcomes; an endpoint, its shortest and its longest call in ms; when the first call began. It is what readers of
# these formats found, which an earlier balancer had.
_FOUND = {
    "alb.log": ({"failure": 1, "ignored": 1, "success": 4}, "10.0.0.66:9000", 1500, 11823, 1530570168.364),
    "caddy.log": ({"overload": 2, "success": 6}, "127.0.0.1:21102", 29, 538, 1795921898.670494),
    "envoy.log": ({"failure": 1, "overload": 2, "success": 6}, "127.0.0.1:21301", 59, 203, 1795922656.14),
    "envoy-json.log": ({"failure": 1, "overload": 2, "success": 6}, "127.0.0.1:21301", 59, 133, 1795922656.143),
    "litellm.json": ({"failure": 1, "overload": 2, "success": 5}, "https://b.example/v1", 284, 1006, 1795921200.08975),
    "otlp.jsonl": (
        {"failure": 4, "ignored": 1, "overload": 2, "success": 8},
        "127.0.0.1:21502",
        4,
        228,
        1795922550.851,
    ),
    "sglang.log": ({"ignored": 1, "overload": 1, "success": 9}, "sglang", 89, 1895, 1795921000.0679405),
    "sglang-json.log": ({"ignored": 1, "overload": 1, "success": 9}, "sglang", 43, 2145, 1795921000.5511472),
    "traefik-common.log": ({"overload": 2, "success": 6}, "http://127.0.0.1:21203", 99, 627, 1795922536.0),
    "traefik-json.log": ({"overload": 2, "success": 6}, "127.0.0.1:21201", 4, 188, 1795922523.572),
    "vllm.log": ({"ignored": 1, "success": 28}, "vllm", 0, 13000, 1795921000.0),
}


def _log_of(block):
    found = _FROM.search(block.code)
    assert found is not None
    return found[1]


def _made_in(folder, code):
    for log in (ROOT / "tests" / "logs").iterdir():
        shutil.copy(log, folder)
    return subprocess.run(["sh", "-ec", code], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_there_is_a_line_for_each_log():
    assert sorted(map(_log_of, _MADE)) == sorted(_FOUND)


@pytest.mark.needs("jq")
@pytest.mark.parametrize("block", _MADE, ids=_log_of)
def test_a_line_makes_the_calls_of_a_log(block, tmp_path):
    outcomes, name, shortest_ms, longest_ms, began_s = _FOUND[_log_of(block)]
    assert _made_in(tmp_path, block.code) == ""
    (made,) = tmp_path.glob("calls.*")
    log = import_logs([made], made.suffix[1:], LogOptions(zone=UTC))
    assert log is not None
    assert Counter(each.outcome for each in log.trace.attempts) == outcomes
    took_ms = [round(1000 * each.held_s) for each in log.trace.attempts if each.endpoint == name]
    assert (min(took_ms), max(took_ms)) == (shortest_ms, longest_ms)
    assert log.trace.attempts[0].asked_s == pytest.approx(began_s, abs=0.0011), "times of some are cut to 1 ms"
    write_trace(log.trace, tmp_path / "trace.jsonl")
    assert "SECRET" not in (tmp_path / "trace.jsonl").read_text(encoding="utf-8")


def test_the_table_of_litellm_needs_columns_only(tmp_path):
    columns = {"endpoint": "api_base", "asked_s": "startTime", "ended_s": "endTime", "outcome": "status"}
    page = (ROOT / "docs" / "prediction.md").read_text(encoding="utf-8")
    assert all(f"`{field}={column}`" in page for field, column in columns.items())
    log = import_logs([ROOT / "tests" / "logs" / "litellm.csv"], "csv", LogOptions(zone=UTC, columns=columns))
    assert log is not None
    assert Counter(each.outcome for each in log.trace.attempts) == {"success": 6, "failure": 2}
    assert {each.endpoint for each in log.trace.attempts} == {"https://a.example/v1", "https://b.example/v1"}
