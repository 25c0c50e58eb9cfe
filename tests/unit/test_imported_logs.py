"""Logs of other programs as traces. tests/logs/README.md says what made each file."""

import contextlib
import gzip
import itertools
import random
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from balancer.commands.app import make_app
from balancer.errors import ConfigError
from balancer.observing.traces import read_trace
from balancer.observing.traces.importers import FORMATS, ImportedLog, LogOptions, import_logs
from balancer.observing.traces.rows import mistake_in
from balancer.plugins.registry import default_registry

LOGS = Path(__file__).parents[1] / "logs"
SECRET = "SECRET"


def read(*names: str, source: str | None = None, zone: str = "UTC", **options: Any) -> ImportedLog:
    log = import_logs([LOGS / name for name in names], source, LogOptions(zone=ZoneInfo(zone), **options))
    assert log is not None
    return log


def write(folder: Path, *lines: str, name: str = "x.log") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def of(path: Path, source: str | None = None, zone: str = "UTC", **options: Any) -> ImportedLog:
    log = import_logs([path], source, LogOptions(zone=ZoneInfo(zone), **options))
    assert log is not None
    return log


def run(*args: str) -> str:
    result = CliRunner().invoke(make_app(default_registry()), ["trace", *args])
    if result.exception is not None:
        raise result.exception
    return result.output


# -- every format ----------------------------------------------------------------------------------

# file: format, calls by outcome, number of endpoints, whether the log says waits, and times of servers
FILES: dict[str, tuple[str, dict[str | None, int], int, bool, bool]] = {
    "alb.log": ("alb", {"failure": 1, "ignored": 1, "success": 4}, 3, False, True),
    "caddy-debug.log": ("caddy", {"overload": 2, "success": 41}, 3, False, False),
    "caddy.log": ("caddy", {"overload": 2, "success": 51}, 3, False, True),
    "envoy-health.log": ("envoy-json", {}, 0, False, False),
    "envoy-json.log": ("envoy-json", {"failure": 1, "overload": 2, "success": 65}, 3, True, True),
    "envoy.log": ("envoy", {"failure": 1, "overload": 2, "success": 65}, 3, False, True),
    "haproxy-rfc3164.log": ("haproxy", {"failure": 4, "ignored": 4, "overload": 2, "success": 43}, 4, True, True),
    "haproxy-stderr.log": ("haproxy", {}, 0, False, False),
    "haproxy.log": ("haproxy", {"failure": 10, "ignored": 5, "overload": 3, "success": 138}, 7, True, True),
    "litellm.csv": ("litellm-csv", {"failure": 1, "overload": 2, "success": 10}, 2, False, False),
    "litellm.json": ("litellm", {"failure": 1, "overload": 2, "success": 10}, 2, False, False),
    "nginx.log": ("nginx", {"failure": 15, "overload": 3, "success": 84}, 3, False, False),
    "otlp.jsonl": ("otlp", {"failure": 4, "ignored": 1, "overload": 2, "success": 8}, 3, False, False),
    "sglang-json.log": ("sglang-json", {"ignored": 1, "overload": 1, "success": 28}, 1, True, False),
    "sglang.log": ("sglang", {"ignored": 1, "overload": 1, "success": 28}, 1, True, False),
    "traefik-common.log": ("traefik", {"overload": 2, "success": 41}, 3, False, False),
    "traefik-json.log": ("traefik-json", {"overload": 2, "success": 40}, 3, False, True),
    "traefik-own.log": ("traefik-json", {}, 0, False, False),
    "vllm.log": ("vllm", {"ignored": 1, "success": 28, None: 1}, 1, False, False),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_format_is_found_and_read(name: str) -> None:
    form, outcomes, endpoints, waits, servers = FILES[name]
    log = read(name)
    attempts = log.trace.attempts
    assert log.format == form
    assert log.unread == 0, log.first_unread
    assert Counter(each.outcome for each in attempts) == outcomes
    assert len({each.endpoint for each in attempts}) == endpoints
    assert any(each.waited_s > 0 for each in attempts) == waits
    assert any(each.server_s is not None for each in attempts) == servers
    assert [each.attempt for each in attempts] == [*range(len(attempts))]
    assert all(mistake_in(row) is None for row in (*attempts, *log.trace.events))
    assert bool(attempts) == bool(log.trace.runs)
    assert not attempts or log.trace.runs[0]["source"] == form
    assert not attempts or {each["name"] for each in log.trace.runs[0]["endpoints"]} == {
        each.endpoint for each in attempts
    }


@pytest.mark.parametrize("name", sorted({*FILES, "nginx-long.log"}))
def test_no_secret_of_a_log_comes_into_its_trace(name: str, tmp_path: Path) -> None:
    own = "$time_iso8601 $upstream_addr $upstream_status $upstream_response_time $upstream_connect_time "
    own += '$upstream_header_time $request_time $status "$request"'
    options = ["--from", "nginx", "--format", own] if name == "nginx-long.log" else []
    for form in ("t.jsonl", "t.parquet"):
        run(str(LOGS / name), *options, "--out", str(tmp_path / form), "--json")
    written = (tmp_path / "t.jsonl").read_text(encoding="utf-8") + repr(read_trace(tmp_path / "t.parquet"))
    for secret in (SECRET, "api_key", "Bearer", "/work", "prompt", "123456789012", "192.168."):
        assert secret not in written


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_secret_of_a_line_that_cannot_be_read_is_shown(name: str, tmp_path: Path) -> None:
    lines = (LOGS / name).read_text(encoding="utf-8").splitlines()
    wrong = [form for line in lines for form in (line.replace(" ", "", 3)[5:], line[: len(line) // 2])]
    try:
        said = run(str(write(tmp_path, *wrong)), "--from", FILES[name][0], "--json")
    except ConfigError as error:
        said = str(error)
    assert SECRET not in said


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_ends_of_lines_and_gzip_make_no_difference(name: str, tmp_path: Path) -> None:
    data = (LOGS / name).read_bytes()
    plain = read(name).trace
    (tmp_path / "crlf.log").write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") + b"\r\n\r\n")
    (tmp_path / "x.log.2.gz").write_bytes(gzip.compress(data))
    for other in ("crlf.log", "x.log.2.gz"):
        assert of(tmp_path / other).trace == plain


@pytest.mark.parametrize("name", sorted(name for name in FILES if not name.startswith(("litellm", "otlp", "alb"))))
def test_a_rotated_log_is_one_log(name: str, tmp_path: Path) -> None:
    lines = (LOGS / name).read_bytes().splitlines(keepends=True)
    cuts = [0, len(lines) // 3, 2 * len(lines) // 3, len(lines)]
    parts = [b"".join(lines[a:b]) for a, b in itertools.pairwise(cuts)]
    (tmp_path / "a.log").write_bytes(parts[2])
    (tmp_path / "a.log.1").write_bytes(parts[1])
    (tmp_path / "a.log.2.gz").write_bytes(gzip.compress(parts[0]))
    found = import_logs([tmp_path / each for each in ("a.log", "a.log.1", "a.log.2.gz")], None, LogOptions(zone=UTC))
    assert found is not None
    whole = read(name)
    times = [(each.endpoint, each.granted_s, each.ended_s, each.outcome) for each in found.trace.attempts]
    assert Counter(times) == Counter((e.endpoint, e.granted_s, e.ended_s, e.outcome) for e in whole.trace.attempts)
    assert [(each.event, each.endpoint) for each in found.trace.events] == [
        (each.event, each.endpoint) for each in whole.trace.events
    ]


def test_a_gzip_file_that_is_cut_is_read_up_to_there(tmp_path: Path) -> None:
    packed = gzip.compress((LOGS / "haproxy.log").read_bytes())
    (tmp_path / "x.gz").write_bytes(packed[: len(packed) // 2])
    assert 20 < len(of(tmp_path / "x.gz").trace.attempts) < len(read("haproxy.log").trace.attempts)


LINES = [line for name in FILES for line in (LOGS / name).read_text(encoding="utf-8").splitlines()[:30]]
GARBAGE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(LINES).flatmap(lambda line: st.integers(0, len(line)).map(lambda at: line[:at])),
    st.tuples(st.sampled_from(LINES), st.sampled_from(["9" * 400, "-", "NaN", "\ud800", "{", '"'])).map(
        lambda pair: pair[0].replace("0", pair[1], 3)
    ),
    st.sampled_from(['{"ts":1e999}', "[" * 2000, '{"resourceSpans":[[]]}', '{"startTime":{},"endTime":[]}', "\x00"]),
)


@pytest.mark.parametrize("form", sorted(FORMATS))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_lines_in_any_order_with_others_between_never_raise(
    form: str, data: st.DataObject, tmp_path_factory: Any
) -> None:
    mine = [line for name in FILES if FILES[name][0] == form for line in (LOGS / name).read_text("utf-8").splitlines()]
    some = data.draw(st.lists(st.one_of(st.sampled_from(mine or LINES), st.sampled_from(LINES), GARBAGE), max_size=25))
    path = tmp_path_factory.mktemp("mixed") / "x.log"
    path.write_text("\n".join(data.draw(st.permutations(some))), encoding="utf-8", errors="replace")
    log = None
    with contextlib.suppress(ConfigError):  # no line is of the format
        log = import_logs([path], form, LogOptions(zone=UTC))
    assert log is None or all(mistake_in(row) is None for row in (*log.trace.attempts, *log.trace.events))


def test_of_mixed_lines_those_of_the_format_are_all_read(tmp_path: Path) -> None:
    lines = (LOGS / "envoy.log").read_text(encoding="utf-8").splitlines()
    others = ["", "garbage", "{}", *(LOGS / "traefik-common.log").read_text(encoding="utf-8").splitlines()[:5]]
    mixed = [*lines, *others]
    random.Random(1).shuffle(mixed)
    log = of(write(tmp_path, *mixed))
    assert log.format == "envoy"
    assert log.unread == 7
    key = lambda each: (each.granted_s, each.ended_s, each.endpoint)  # noqa: E731
    assert sorted(map(key, log.trace.attempts)) == sorted(map(key, read("envoy.log").trace.attempts))
