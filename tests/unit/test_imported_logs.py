"""Logs of other programs as traces. tests/logs/README.md says what made each file."""

import contextlib
import gzip
import itertools
import json
from collections import Counter
from datetime import UTC
from pathlib import Path
from time import thread_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.errors import ConfigError
from balancer.observing.traces import read_trace
from balancer.observing.traces.importers import FORMATS, LogOptions, import_logs
from balancer.observing.traces.log_lines import instant_of, shown_line
from balancer.observing.traces.rows import mistake_in
from tests.unit.summarised import run

LOGS = Path(__file__).parents[1] / "logs"
SECRET = "SECRET"


def read(*names, source=None, zone="UTC", **options):
    log = import_logs([LOGS / name for name in names], source, LogOptions(zone=ZoneInfo(zone), **options))
    assert log is not None
    return log


def write(folder, *lines, name="x.log"):
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def of(path, source=None, zone="UTC", **options):
    log = import_logs([path], source, LogOptions(zone=ZoneInfo(zone), **options))
    assert log is not None
    return log


# -- every format ----------------------------------------------------------------------------------

# file: format, calls by outcome, number of endpoints, whether the log says waits, and times of servers
FILES = {
    "haproxy-rfc3164.log": ("haproxy", {"failure": 4, "ignored": 4, "overload": 2, "success": 43}, 4, True, True),
    "haproxy.log": ("haproxy", {"failure": 10, "ignored": 5, "overload": 3, "success": 136}, 7, True, True),
    "nginx.log": ("nginx", {"failure": 15, "overload": 3, "success": 84}, 3, False, False),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_format_is_found_and_read_and_a_rotated_log_is_one_log(name, tmp_path):
    form, outcomes, endpoints, waits, servers = FILES[name]
    log = read(name)
    attempts, (run,) = log.trace.attempts, log.trace.runs
    assert (log.format, log.unread, run["source"]) == (form, 0, form)
    assert Counter(each.outcome for each in attempts) == outcomes
    assert len({each.endpoint for each in attempts}) == endpoints
    assert {each["name"] for each in run["endpoints"]} == {each.endpoint for each in attempts}
    assert any(each.waited_s > 0 for each in attempts) == waits
    assert any(each.server_s is not None for each in attempts) == servers
    assert [each.attempt for each in attempts] == [*range(len(attempts))]
    assert all(mistake_in(row) is None for row in (*attempts, *log.trace.events))
    lines = (LOGS / name).read_bytes().splitlines()
    cuts = [0, len(lines) // 3, 2 * len(lines) // 3, len(lines)]
    parts = [b"\xef\xbb\xbf" + b"\r\n".join([*lines[a:b], b"", b""]) for a, b in itertools.pairwise(cuts)]
    (tmp_path / "a.log").write_bytes(parts[2])
    (tmp_path / "a.log.1").write_bytes(parts[1])
    (tmp_path / "a.log.2.gz").write_bytes(gzip.compress(parts[0]))
    found = import_logs([tmp_path / each for each in ("a.log", "a.log.1", "a.log.2.gz")], None, LogOptions(zone=UTC))
    times = [(each.endpoint, each.granted_s, each.ended_s, each.outcome) for each in found.trace.attempts]
    assert Counter(times) == Counter((e.endpoint, e.granted_s, e.ended_s, e.outcome) for e in attempts)
    assert [(each.event, each.endpoint) for each in found.trace.events] == [
        (each.event, each.endpoint) for each in log.trace.events
    ]
    packed = gzip.compress(b"\n".join(lines))
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    assert 0 < len(of(tmp_path / "cut.gz").trace.attempts) < len(attempts)


@pytest.mark.parametrize("name", sorted({*FILES, "nginx-long.log"}))
def test_no_secret_of_a_log_comes_into_its_trace_nor_into_an_error(name, tmp_path):
    own = "$time_iso8601 $upstream_addr $upstream_status $upstream_response_time $upstream_connect_time "
    own += '$upstream_header_time $request_time $status "$request"'
    options = ["--from", "nginx", "--format", own] if name == "nginx-long.log" else []
    run(str(LOGS / name), *options, "--out", str(tmp_path / "t.jsonl"), "--json")
    written = (tmp_path / "t.jsonl").read_text(encoding="utf-8")
    for secret in (SECRET, "api_key", "Bearer", "/work", "prompt", "123456789012", "192.168."):
        assert secret not in written
    lines = (LOGS / name).read_text(encoding="utf-8").splitlines()
    wrong = [form for line in lines for form in (line.replace(" ", "", 3)[5:], line[: len(line) // 2])]
    try:
        said = run(str(write(tmp_path, *wrong)), *(options or ["--from", FILES[name][0]]), "--json")
    except ConfigError as error:
        said = str(error)
    assert SECRET not in said


LINES = [line for name in FILES for line in (LOGS / name).read_text(encoding="utf-8").splitlines()[:30]]
GARBAGE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(LINES).flatmap(lambda line: st.integers(0, len(line)).map(lambda at: line[:at])),
    st.tuples(st.sampled_from(LINES), st.sampled_from(["9" * 400, "-", "NaN", "\ud800", "{", '"'])).map(
        lambda pair: pair[0].replace("0", pair[1], 3)
    ),
    st.sampled_from(['{"endpoint":1e999}', "[" * 2000, '{"endpoint":[[]]}', '{"asked_s":{},"ended_s":[]}', "\x00"]),
    st.sampled_from(
        ["endpoint,asked_s,ended_s", "e,1,2", "e,2026-01-01,3e9", '{"endpoint":"e","asked_s":1,"ended_s":2}']
    ),
)


@pytest.mark.parametrize("form", sorted(FORMATS))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_lines_in_any_order_with_others_between_never_raise(form, data, tmp_path_factory):
    mine = [line for name in FILES if FILES[name][0] == form for line in (LOGS / name).read_text("utf-8").splitlines()]
    some = data.draw(st.lists(st.one_of(st.sampled_from(mine or LINES), st.sampled_from(LINES), GARBAGE), max_size=25))
    path = tmp_path_factory.mktemp("mixed") / "x.log"
    path.write_text("\n".join(data.draw(st.permutations(some))), encoding="utf-8", errors="replace")
    log = None
    with contextlib.suppress(ConfigError):  # no line is of the format
        log = import_logs([path], form, LogOptions(zone=UTC))
    assert log is None or all(mistake_in(row) is None for row in (*log.trace.attempts, *log.trace.events))


# -- HAProxy ---------------------------------------------------------------------------------------


def line_of(flags="----", times="10/20/30/69/129", status=200, again="0", **more):
    return (
        f"{more.get('header', '')}1.2.3.4:5 [{more.get('date', '06/Feb/2026:12:14:14.655')}] web "
        f"{more.get('server', 'be/s1')} {times} {status} 2750 - - {flags} 1/1/1/1/{again} {more.get('queued', '0/1')} "
        '{1wt.eu} {} "GET /x HTTP/1.1"'
    )


AT_S = instant_of("2026-02-06T12:14:14.655", UTC)


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (line_of(), "success"),
        (line_of(status=404), "ignored"),
        (line_of(status=429), "overload"),
        (line_of(status=500), "failure"),
        (line_of("SC--", "0/0/-1/-1/3", 503), "failure"),
        (line_of("SD--", "0/0/0/5/20", 200), "failure"),
        (line_of("PH--", "0/0/0/5/20", 502), "failure"),
        (line_of("D---", "0/0/0/-1/20", 503), "failure"),
        (line_of("CD--", "0/0/0/5/20", 200), "ignored"),
        (line_of("PR--", "0/0/0/-1/20", 403), "ignored"),
        (line_of("K---", "0/0/0/-1/20", 200), "ignored"),
        ("1.2.3.4:5 [06/Feb/2026:12:12:51.443] fnt be/s1 0/0/5007 212 -- 0/0/0/0/0 0/0", "success"),
        ("1.2.3.4:5 [06/Feb/2026:12:12:51.443] fnt be/s1 0/-1/7 0 SC 0/0/0/0/0 0/0", "failure"),
        ("1.2.3.4:5 [06/Feb/2026:12:12:51.443] fnt be/s1 0/0/7 0 CD 0/0/0/0/0 0/0", "ignored"),
    ],
)
def test_who_ended_a_session_of_haproxy_decides_the_outcome(line, outcome, tmp_path):
    (attempt,) = of(write(tmp_path, line)).trace.attempts
    assert attempt.outcome == outcome
    assert attempt.endpoint == "be/s1"


def test_times_of_haproxy(tmp_path):
    log = of(
        write(
            tmp_path,
            line_of(),
            line_of(times="10/20/30/69/+129"),
            line_of(times="0/1002/-1/-1/1002", again="2", queued="0/0"),
        )
    )
    one, cut, *tries = sorted(log.trace.attempts, key=lambda each: int(str(each.task).split()[1]))
    assert [one.asked_s - AT_S, one.waited_s, one.ended_s - AT_S, one.server_s] == pytest.approx(
        [0.01, 0.02, 0.129, 0.069], abs=1e-6
    )
    assert (cut.open, cut.outcome) == (True, None)  # option logasap
    # A refused connection: the pauses before retries are in Tw, but it was in no queue.
    assert [each.outcome for each in tries] == ["failure"] * 3
    assert [each.waited_s for each in tries] == [0.0] * 3
    assert sum(each.held_s for each in tries) == pytest.approx(1.002)
    assert [each.event for each in log.trace.events] == ["retried"] * 2
    assert len({each.task for each in tries}) == 1


def test_what_reached_no_server_of_haproxy(tmp_path):
    log = of(write(
        tmp_path,
        line_of("SC--", "0/-1/-1/-1/0", 503, server="be/<NOSRV>"),
        line_of("sQ--", "0/300/-1/-1/300", 503, server="be/<NOSRV>"),
        line_of("CQ--", "0/100/-1/-1/100", -1, server="be/s1"),
        line_of("LR--", "0/-1/-1/-1/0", 200, server="web/<STATS>"),
        line_of(again="+2"),
        "1.2.3.4:5 [06/Feb/2026:12:14:14.655] frt/f1: Connection error during SSL handshake",
        "Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)",
    ))  # fmt: skip
    assert log.left_out == {
        "without an upstream server": 2, "of clients that left while they waited": 1,
        "of single checks, starts, stops, and connections without a request": 1,
        "of the default format, which has no times": 1,
    }  # fmt: skip
    assert log.notes == {"calls with retries at a server that the log does not name": 1}
    (gave_up,) = log.trace.events
    assert (gave_up.event, gave_up.value) == ("gave_up", pytest.approx(0.3))
    assert log.unread == 0


HEADERS = {
    "raw": "", "iso": "2026-02-06T12:14:{:06.3f}+00:00 ", "rfc5424": "<133>1 2026-02-06T12:14:{:06.3f}Z lb haproxy - ",
    "rsyslog": "2026-02-06T13:14:{:06.3f}+01:00 lb haproxy[12]: ", "rfc3164": "<133>Feb  6 12:14:{:02.0f} lb haproxy: ",
}  # fmt: skip
NOTICES = [
    ('Health check for server be/s1 failed, reason: Layer4 timeout, info: "sk-SECRET", status: 1/2 UP.', []),
    ("Server be/s1 is DOWN, reason: Layer7 wrong status, code: 503, check duration: 1ms. 4 left.", ["ejected"]),
    ("Server be/s1 is DOWN, reason: Layer7 wrong status. 4 active and 0 backup servers left.", []),
    ("Server be/s1 was DOWN and now enters maintenance.", []),
    ("Server be/s1 is UP/READY (leaving forced maintenance).", ["restored"]),
    ("Backup Server be/s1 is going DOWN for maintenance. 3 active left.", []),
    ("Server be/s1 remains in forced drain mode.", []),
    ("Server be/s1 is DOWN (leaving drain).", ["ejected"]),
    ("Server be/s1 ('db.example') is UP/READY (resolves again).", ["restored"]),
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_what_checks_of_haproxy_found_is_told(header, tmp_path):
    lines, expected = [line_of()], []
    for second, (text, events) in enumerate(NOTICES, start=20):
        lines.append(HEADERS[header].format(second) + text)
        expected += [(event, second) for event in events]
    log = of(write(tmp_path, *lines, "Proxy be started.", "backend 'be' has no server available!"))
    assert [each.event for each in log.trace.events] == [event for event, _ in expected]
    assert {each.endpoint for each in log.trace.events} == {"be/s1"}
    assert (log.unread, log.left_out["of notices of maintenance, or that changed nothing"]) == (0, 4)
    times = [each.at_s - instant_of("2026-02-06T12:14:00", UTC) for each in log.trace.events]
    dated = [14.784] * 4 if header in ("raw", "rfc3164") else [second for _, second in expected]
    assert times == pytest.approx(dated, abs=1e-3)  # or the end of the request before
    assert log.trace.events[0].name == "Layer7 wrong status"
    assert SECRET not in repr(log.trace)


def test_a_log_is_in_the_zone_that_is_said(tmp_path):
    path = write(tmp_path, line_of(), line_of(date="09/Feb/2026:12:14:14.655"))
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        one, two = of(path, zone=zone).trace.attempts
        assert one.asked_s == pytest.approx(instant_of("2026-02-06T12:14:14.665", ZoneInfo(zone)))
        assert two.asked_s - one.asked_s == pytest.approx(3 * 86400)


def test_tries_of_nginx_with_their_own_times(tmp_path):
    form = "$msec $upstream_addr $upstream_status $upstream_response_time "
    form += "$upstream_connect_time $upstream_header_time $status"
    lines = [
        "1000.000 10.0.0.1:80, 10.0.0.2:80 502, 200 0.001, 0.300 -, 0.010 -, 0.290 200",
        "1001.000 10.0.0.1:80 - 0.200 0.001 - 499",
        "1002.000 be 502 0.000 - - 502",
        "2026/11/29 03:01:24 [error] 1#1: *24 connect() failed (111: Connection refused) while connecting to upstream",
    ]
    log = of(write(tmp_path, *lines), "nginx", log_format=form)
    assert [(each.outcome, each.server_s, round(each.held_s, 3)) for each in log.trace.attempts] == [
        ("failure", None, 0.001), ("success", None, 0.3), ("ignored", None, 0.2),
    ]  # fmt: skip
    assert [each.event for each in log.trace.events] == ["retried"]
    assert log.left_out == {"without an upstream server": 1, "of nginx's error log": 1}


def test_a_line_is_shown_without_what_may_be_secret():
    for line in (
        'GET /x?key=SECRET&b=1 HTTP/1.1" 200', "Authorization: Bearer SECRET", '{"authorization":["Bearer SECRET"]}',
        "token=SECRET x", "'api_key': 'SECRET'", "https://me:SECRET@host/x", "sk-0SECRET0123456", "Cookie: SECRET",
    ):  # fmt: skip
        assert SECRET not in shown_line(line)
    assert shown_line("x" * 200) == "x" * 77 + "..."


# -- tables ----------------------------------------------------------------------------------------


def test_a_table_with_named_columns(tmp_path):
    path = write(tmp_path, "server,from,took,slots", "http://me:SECRET@a/?SECRET,1.5,1.0,2", "b,2.0,2.0,", "")
    one, two = of(path, "csv", columns={"endpoint": "server", "granted_s": "from", "held_s": "took"}).trace.attempts
    assert (one.endpoint, one.asked_s, one.granted_s, one.ended_s, one.slots) == ("http://a/", 1.5, 1.5, 2.5, 2)
    assert (two.endpoint, two.held_s, two.slots, two.attempt, two.task) == ("b", 2.0, 1, 1, "line 3")


def test_lines_of_json_with_named_columns(tmp_path):
    rows = [
        {"to": "a", "ts": "2026-02-06T12:14:14.500", "asked_s": 1770380054, "code": 503, "open": True, "size": None},
        {"to": "b", "ts": "2026-02-06T13:14:14.500+01:00", "asked_s": "1770380054.25", "code": "404", "run": "r"},
    ]
    path = write(tmp_path, *map(json.dumps, rows))
    log = of(path, "jsonl", columns={"endpoint": "to", "ended_s": "ts", "outcome": "code"})
    one, two = log.trace.attempts
    assert (one.endpoint, one.held_s, one.outcome, one.open, one.size) == ("a", 0.5, "overload", True, None)
    assert (two.endpoint, two.held_s, two.outcome, two.run) == ("b", 0.25, "ignored", "r")
    assert log.trace.ended == {"imported", "r"}
    assert log.trace.runs == [], "the times of a table may be of any clock"


@pytest.mark.parametrize(
    ("source", "lines", "columns", "line"),
    [
        ("csv", "a,b\n1,2", {"colour": "a"}, "--column: there is no field 'colour'; fields are run, asked_s, "),
        ("csv", "a,b\n1,2", {"endpoint": "c"}, "x.log:2: found no column 'c'; there are a, b"),
        ("csv", "endpoint,ended_s\ne,1", {}, "x.log:2: found no column granted_s or asked_s; name one with --column g"),
        ("csv", "endpoint,asked_s\na,1", {}, "x.log:2: found no column ended_s or held_s; name one with --column end"),
        ("csv", "endpoint,ended_s,asked_s\na,x,1", {}, "x.log:2: found 'x' for ended_s; it must be a number of seco"),
        ("csv", "endpoint,ended_s,asked_s\na,2,1\na,,1", {}, "x.log:3: found an empty value; endpoint, ended_s or hel"),
        ("csv", "endpoint,asked_s,ended_s\na,1,2\na,5,4", {}, "x.log:3: found asked_s 5, granted_s 5, ended_s 4; ask"),
        ("csv", "endpoint,asked_s,ended_s\na,1,nan", {}, "x.log:2: found ended_s nan; it must be a number of seconds"),
        ("csv", "endpoint,asked_s,ended_s,slots\na,1,2,2.5", {}, "x.log:2: found '2.5' for slots; it must be a number"),
        ("csv", "endpoint,asked_s,ended_s,outcome\na,1,2,ok", {}, "x.log:2: found 'ok' for outcome; it must be succe"),
        ("csv", "endpoint,asked_s,ended_s", {}, "x.log: has no call and no event: it is empty"),
        ("csv", "endpoint,asked_s\na," + "9" * 200_000, {}, "x.log:2: found a row that is no CSV: field larger than"),
        ("jsonl", '{"endpoint": ["a"], "asked_s": 1, "ended_s": 2}', {}, "x.log:1: found \"['a']\" for endpoint; it m"),
        ("jsonl", '{"a": 1, "b": 2}', {}, "x.log:1: found no column endpoint; name one with --column endpoint=NAME; "),
        ("jsonl", "[", {}, "x.log:1: found '[', which is no object of JSON"),
        ("jsonl", "endpoint,asked_s", {}, "x.log:1: found 'endpoint,asked_s', which is no object of JSON"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_one_line(source, lines, columns, line, tmp_path):
    with pytest.raises(ConfigError) as raised:
        of(write(tmp_path, *lines.split("\n")), source, columns=columns)
    assert str(raised.value).removeprefix(f"{tmp_path}/").startswith(line)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "advice"),
    [
        (['{"ts": 1, "up": "a", "ms": 5}'], r"--from jsonl --column endpoint=NAME .*; its keys are ts, up, ms; "),
        (["server,begun,ended", "a,1,2"], r"--from csv --column endpoint=NAME --column asked_s=NAME --column ended_s="),
        (["(APIServer pid=1) INFO 11-29 02:56:40 Received"], r"docs/prediction.md makes such rows of other logs$"),
    ],
)  # fmt: skip
def test_an_unknown_log_says_how_its_columns_would_be_read(lines, advice, tmp_path):
    for read_it in (lambda path: run(str(path)), lambda path: read_trace(path)):
        with pytest.raises(ConfigError, match=rf"x\.log:1: found '.*', which is no line of a trace, .*{advice}"):
            read_it(write(tmp_path, *lines))
    (tmp_path / "x.log.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(ConfigError, match=r"x\.log\.gz:1: found '[\x20-\x7e]*', which is no line of a trace, .*"):
        run(str(tmp_path / "x.log.gz"))


# -- the command -----------------------------------------------------------------------------------


def test_the_command_says_what_it_read_and_what_it_did_not(tmp_path):
    out = tmp_path / "t.jsonl"
    lines = (LOGS / "haproxy.log").read_text(encoding="utf-8").splitlines()
    said = run(str(write(tmp_path, *lines, "garbage of somebody")), "--out", str(out))
    assert "read as a log of haproxy" in said
    assert " lines of single checks, starts, stops, and connections without a request: left out" in said
    assert "lines that could not be read: 1\n" in said
    assert f"x.log:{len(lines) + 1}: found 'garbage of somebody', which is no line of HAProxy" in said
    assert json.loads(run(str(out), "--json"))["attempts"] == 154
    assert json.loads(run(str(LOGS / "haproxy.log"), "--json"))["left_out"] == 33


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([LOGS / "nginx-combined.log"], "combined format, which names no upstream server"),
        (
            [LOGS / "haproxy-stderr.log"],
            "haproxy-stderr.log: has no call and no event: 38 lines of single checks",
        ),
        (
            [LOGS / "envoy.log"],
            r"envoy.log:1: found '\[2026-.*, which is no line of a trace, of HAProxy or of nginx; if ",
        ),
        (["/dev/null"], "null: is a pipe or a device"),
        ([LOGS / "haproxy.log", "--from", "haproxi"], "did you mean 'haproxy'"),
        ([LOGS / "haproxy.log", "--zone", "Nowhere/X"], "--zone: found 'Nowhere/X'"),
        ([LOGS / "haproxy.log", "--from", "nginx"], r"haproxy\.log:\d+: found .*; give the log_format that"),
        ([LOGS / "nginx.log", "--from", "nginx", "--format", "$msec"], r"found no \$upstream_addr"),
        ([LOGS / "README.md", LOGS / "README.md"], "several files can be read of a log only"),
        ([LOGS, "--from", "haproxy"], "cannot be read"),
        (["nowhere.jsonl"], "cannot be read"),
        ([LOGS, "--format", "x"], "--format: it needs --from"),
        ([LOGS, "--from", "csv", "--format", "x"], "--format: it needs --from nginx"),
        ([LOGS, "--from", "nginx", "--column", "a=b"], "--column: it needs --from csv"),
        ([LOGS, "--from", "csv", "--column", "a"], "write FIELD=COLUMN"),
    ],
)
def test_what_cannot_be_read_is_one_line(options, line):
    with pytest.raises(ConfigError, match=line):
        run(*map(str, options))


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_no_line_takes_long_to_refuse(form, tmp_path):
    begins = (
        '[29/Nov/2026:03:11:05 +0000] "',
        "[29/Nov/2026:03:11:05.111] w b/s ",
        "Server ",
        '[x] "',
        "",
    )
    signs = ('"', "[", "a/b ", "1/", 'a\\"', "{")
    lines = [begin + sign * 10_000 for begin in begins for sign in signs]
    began_s = thread_time()
    with contextlib.suppress(ConfigError):
        import_logs([write(tmp_path, *lines)], form)
    assert thread_time() - began_s < 20, "it is below a second where time grows with the length, and minutes otherwise"
