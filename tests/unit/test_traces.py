"""A trace says what a pool did, survives a kill, shows no secret; and other people's records become one."""

import errno
import itertools
import json
import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from balancer import AcquireTimeout, ConfigError, Endpoint, Outcome, Pool
from balancer.core.events import Queued
from balancer.endpoint import Hint
from balancer.errors import EndpointError, EndpointOverloaded, PoolClosed
from balancer.observing.traces import Attempt, Happening, Trace, files, read_trace, rows, tracing, write_trace
from balancer.observing.traces.files import LineFile
from balancer.observing.traces.rows import data_of
from balancer.observing.traces.summary import summary_lines, summary_of
from balancer.observing.traces.tables import SCHEMA, insert_rows
from balancer.pipeline.results.store import Store
from balancer.settings.config import load_config
from balancer.testing.clock import ManualClock
from tests.patience import PATIENCE_S
from tests.threads.crew import until
from tests.unit.summarised import run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "more" / "trace.jsonl"


def pool_of(clock, *endpoints):
    return Pool(endpoints or [Endpoint("http://a/", capacity=2, host="h"), Endpoint("http://b/", host="h")],
                strategy="first", clock=clock, health=None)  # fmt: skip


# -- what a pool writes -----------------------------------------------------------------------------


def test_a_row_says_all_of_a_call(path):
    clock = ManualClock(0.0)
    pool = pool_of(clock, Endpoint("http://a/", capacity=2, labels=frozenset({"x", "y"}), host="h"))
    with pool.trace(path) as trace:
        first = pool.acquire(timeout=0)
        clock.advance(1.0)
        second = pool.acquire(timeout=0, labels=["y", "x"], key="my secret", holder="sample 7", tokens=40, priority=-1)
        pool.observe(lambda event: (clock.advance(2.0), first.release()), kinds=[Queued])
        third = pool.acquire(timeout=PATIENCE_S, key="my secret")
        second.hint = Hint(retry_after_s=3.0)
        with pytest.raises(ValueError, match=r"server_s is inf; it must be a finite number >= 0"):
            second.took(math.inf)
        second.took(2)
        second.release(Outcome.OVERLOAD)
        third.release()
    one, two, three = read_trace(path).attempts
    assert (one.asked_s, one.granted_s, one.ended_s, one.outcome) == (0.0, 0.0, 3.0, "success")
    assert (one.kind, one.task, one.size, one.key) == (None, None, None, None)
    assert two == Attempt(
        run=trace.run, attempt=two.attempt, asked_s=1.0, granted_s=1.0, ended_s=3.0, endpoint="http://a/",
        task="sample 7", kind="x+y", size=40, host="h", priority=-1, key=two.key,
        outcome="overload", retry_after_s=3.0, server_s=2.0,
    )  # fmt: skip
    assert (three.waited_s, three.key) == (2.0, two.key)
    assert "secret" not in path.read_text()
    with pool.trace(path):
        pool.acquire(timeout=0, key="my secret").release()
    assert read_trace(path).attempts[-1].key != two.key, "two traces could be joined by their keys"


def test_ejections_rests_and_who_is_spared_are_events_with_their_reasons(path):
    pool = Pool(["http://a/?key=s3cret", "b"], strategy="first", clock=ManualClock())
    with pool.trace(path):
        for _ in range(10):
            with suppress(EndpointError), pool.lease():
                raise EndpointError("answered 502")
        with suppress(EndpointOverloaded), pool.lease():
            raise EndpointOverloaded("429", retry_after_s=7.0)
    events = {each.event: each for each in read_trace(path).events}
    why = "5 failures in a row, last: EndpointError: answered 502"
    assert (events["ejected"].endpoint, events["ejected"].name) == ("http://a/", why)
    assert 0.5 <= events["ejected"].value <= 1.0
    assert (events["rested"].endpoint, events["rested"].value) == ("b", 7.0)
    assert events["spared"].endpoint == "b"
    assert "failures in a row, last: EndpointError: answered 502, but " in events["spared"].name
    assert summary_of(read_trace(path))["events"]["spared"] == 1


def test_what_happens_besides_is_there_in_order(path):
    pool = pool_of(ManualClock())
    with pool.trace(path):
        pool.add(Endpoint("http://c/", capacity=3, host="k"))
        pool.update("http://c/", capacity=5)
        pool.drain("http://b/")
        pool.remove("http://c/")
        pool.set_strategy("fifo")
        with pytest.raises(AcquireTimeout):
            _ = [pool.acquire(timeout=0) for _ in range(3)]
    events = [(event.event, event.endpoint, event.value, event.name) for event in read_trace(path).events]
    assert events == [
        ("joined", "http://c/", 3, "k"),
        ("limit", "http://c/", 5, None),
        ("capacity", "http://c/", 5, None),
        ("drained", "http://b/", None, None),
        ("left", "http://c/", None, None),
        ("strategy", None, None, "fifo"),
        ("gave_up", None, 0.0, None),
    ]


def test_a_call_under_way_at_the_end_is_open(path):
    clock = ManualClock()
    pool = pool_of(clock)
    trace = pool.trace(path)
    pool.acquire(timeout=0)
    clock.advance(5.0)
    trace.flush()
    ends_after_all = pool.acquire(timeout=0)
    clock.advance(2.0)
    trace.flush()
    ends_after_all.release()
    pool.close()
    assert [line.count('"open": true') for line in path.read_text().splitlines()] == [0, 1, 1, 0, 1, 0]
    found = read_trace(path).attempts
    assert [(each.open, each.outcome, each.held_s) for each in found] == [(True, None, 7.0), (False, "success", 2.0)]


def test_no_secret_of_a_config_is_in_its_trace_nor_in_the_log(tmp_path, caplog):
    trace = tmp_path / "t.jsonl"
    text = f'[[endpoints]]\nurl = "http://a/${{KEY}}/v1"\n[trace]\npath = "{trace}"\n[pool]\nttl_s = 0.01\n'
    (tmp_path / "pool.toml").write_text(text, encoding="utf-8")
    with Pool.from_config(load_config(tmp_path / "pool.toml", environ={"KEY": "c4n4ry-path"})) as pool:
        lease = pool.acquire(timeout=0)
        pool.acquire(timeout=PATIENCE_S).release()  # once the first has run out, which is a line in the log
        assert lease.ended
        until(lambda: "http://a/" in caplog.text)  # the timer's thread writes it after it has woken this one
    for shown in (trace.read_text(encoding="utf-8"), caplog.text):
        assert "http://a/${KEY}/v1" in shown
        assert "c4n4ry" not in shown


def test_calls_that_are_lost_are_counted_and_those_before_the_trace_are_no_rows(path, monkeypatch):
    monkeypatch.setattr(tracing, "MOST", 1)
    monkeypatch.setattr(tracing, "_EVERY_S", 1000.0)
    pool = pool_of(ManualClock(), Endpoint("http://a/", capacity=4))
    earlier = pool.acquire(timeout=0)
    with pool.trace(path) as trace:
        earlier.release()
        trace.flush()
        leases = [pool.acquire(timeout=0) for _ in range(3)]
        for lease in leases:  # there is room for one
            lease.release()
        trace.flush()
        assert trace.lost == 2
        pool.acquire(timeout=0).release()
    found = read_trace(path)
    assert [each.attempt for each in found.attempts] == [leases[-1].id, leases[-1].id + 1]
    assert found.lost == 2


def test_two_traces_of_one_pool_have_the_same_calls(tmp_path):
    pool = pool_of(ManualClock())
    with pool.trace(tmp_path / "one"):
        pool.acquire(timeout=0).release()
        with pool.trace(tmp_path / "two"):
            pool.acquire(timeout=0).release()
        pool.acquire(timeout=0).release()
    one, two = (read_trace(tmp_path / name).attempts for name in ("one", "two"))
    assert [each.attempt for each in one] == [1, 2, 3]
    assert [each.attempt for each in two] == [2]
    lease = pool.acquire(timeout=0)
    lease.release()
    assert not hasattr(lease, "over"), "nobody traces any more, so nothing is kept"


def test_a_lease_that_nobody_has_is_given_back_all_the_same(path):
    pool = Pool(["http://a/"], health=None)
    with pool.trace(path) as trace:
        pool.lease(timeout=0)  # dropped
        trace.flush()
        pool.lease(timeout=0).release()
    assert [each.outcome for each in read_trace(path).attempts] == ["ignored", "success"]


def test_a_sink_that_raises_anything_costs_rows_and_no_lease_and_the_writer_goes_on(caplog, monkeypatch):
    monkeypatch.setattr(tracing, "_EVERY_S", 0.001)
    sink = _Raises()
    pool = pool_of(ManualClock())
    trace = pool.trace(sink)
    for lost, error in enumerate((ValueError("a secret"), OSError(errno.ENOSPC, "No space left on device"), None), 1):
        sink.error = error
        pool.acquire(timeout=0, key="\udcff").release()
        until(lambda lost=lost: trace.lost == lost or len(sink.rows) == 2)  # the writer's thread outlives an error
    sink.error = OSError(errno.EFBIG, "File too large")
    pool.close()
    assert [row.get("attempt") for row in sink.rows] == [None, 3]
    assert trace.lost == 2, "the last row is no lost call"
    assert [each.getMessage() for each in caplog.records] == ["trace: rows are lost and counted: ValueError"]


class _Raises:
    def __init__(self, error=None):
        self.rows, self.error, self.close = [], error, Mock()

    def write(self, rows):
        if self.error is not None:
            raise self.error
        self.rows += map(dict, rows)


def test_strange_texts_and_numbers_are_written_so_that_they_can_be_read(tmp_path):
    with Store(tmp_path / "r") as store, pool_of(ManualClock()) as pool:
        traces = [pool.trace(store.trace), pool.trace(tmp_path / "t.jsonl")]
        pool.acquire(timeout=0, holder="a\udcff", tokens=10**30).release()
        assert [each.lost for each in traces] == [0, 0]
        for each in traces:
            each.close()
        assert [each.lost for each in traces] == [0, 0]
    for name in ("r/run.sqlite", "t.jsonl"):
        (only,) = read_trace(tmp_path / name).attempts
        assert (only.task, only.size) == ("a?", None)


def _open_files():
    """Return what this process has open. What earlier tests left may be closed at any time, so counts may fall."""
    return Counter(os.path.realpath(each) for each in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which is Linux'")
def test_a_trace_that_cannot_begin_leaves_nothing_behind(path):
    pool = pool_of(ManualClock())
    before = _open_files()
    for wrong in ("/dev/full", "a\0b", "/tmp"):
        with pytest.raises(ConfigError, match=r"^trace: .*: cannot be written: .*; choose another path$"):
            pool.trace(wrong)
    assert (len(pool.engine.core.ledger.sinks), pool._watchers, _open_files() - before) == (0, (), Counter())
    with pytest.raises(ZeroDivisionError):
        pool.trace(_Raises(ZeroDivisionError()))
    assert len(pool.engine.core.ledger.sinks) == 0
    pool.close()
    with pytest.raises(PoolClosed):
        pool.trace(path)
    assert not path.exists()


def test_a_full_disk_costs_what_was_being_written_and_the_next_row_has_a_line_of_its_own(path, monkeypatch):
    monkeypatch.setattr(tracing, "_AT_ONCE", 3)
    real, room, sizes = os.write, [10**6], []

    def write(file, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(file, bytes(data[: room[0]]))
        room[0] -= done
        sizes.append(bytes(data[:done]).count(b"\n"))
        return done

    monkeypatch.setattr(os, "write", write)
    with pool_of(ManualClock()) as pool:
        trace = pool.trace(LineFile(path))
        for room[0] in (10**6, 30, 10**6):  # then half a line
            for _ in range(4):
                pool.acquire(timeout=0).release()
            trace.flush()
    assert sizes[:4] == [1, 3, 1, 0]
    found = read_trace(path)
    assert [each.attempt for each in found.attempts] == [1, 2, 3, 4, 9, 10, 11, 12]
    assert (found.lost, found.cut) == (4, True)


def test_a_forked_child_leaves_the_trace_to_its_parent(path):
    command = [sys.executable, "-W", "ignore", "-c", _FORKS, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stderr == ""
    found = read_trace(path)
    assert [each.task for each in found.attempts] == ["before", "after"]
    assert len(found.ended) == 1


_FORKS = """
import os, sys
from balancer import Pool
pool = Pool(["http://a/"], health=None)
trace = pool.trace(sys.argv[1])
pool.acquire(holder="before").release()
if not (child := os.fork()):
    trace.flush()
    trace.close()
    pool.close()
    sys.exit(0)  # what is to be done at exit is done here, too
assert os.waitpid(child, 0)[1] == 0
pool.acquire(holder="after").release()
pool.close()
"""


_KILLED = """
import sys, time
from balancer import Pool
pool = Pool(["http://a/"], health=None)
pool.trace(sys.argv[1])
for number in range(1000):
    pool.acquire(holder=f"task {number}").release()
pool.acquire(holder="long")
print("ready", flush=True)
time.sleep(600)
"""


def test_it_survives_a_kill(path):
    command = [sys.executable, "-c", _KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        until(lambda: '"open": true' in path.read_text())  # a call that takes longer than a second is written before
        process.send_signal(signal.SIGKILL)
    found = read_trace(path)
    assert len(found.attempts) == 1001
    assert [each.task for each in found.attempts if each.open] == ["long"]
    assert not found.ended


# -- reading ----------------------------------------------------------------------------------------


def a_row(**values):
    usual = {"run": "r", "attempt": 1, "asked_s": 0.0, "granted_s": 1.0, "ended_s": 3.0, "endpoint": "a"}
    return Attempt(**{**usual, **values})


def test_half_a_line_is_left_out_and_said_and_so_is_what_a_later_version_adds(path):
    path.parent.mkdir()
    whole = rows.line(data_of(a_row()))
    later = json.dumps({**data_of(a_row()), "colour": "red"}) + '\n{"row": "something new"}\n'
    path.write_text(later + whole[:40])
    found = read_trace(path)
    assert found.cut
    assert found.attempts == [a_row()]
    with pool_of(ManualClock()).trace(path):  # the next run begins a line of its own
        pass
    assert len(read_trace(path).runs) == 1
    found.attempts += [a_row(attempt=2, ended_s=2.0), a_row(attempt=3, ended_s=900.0, open=True)]
    summary = summary_of(found)
    assert (summary["attempts"], summary["open"]) == (3, 1)
    assert summary["endpoints"]["a"]["held_s"] == {"mean": 1.5, "p50": 1.0, "p99": 2.0, "most": 2.0}
    said = "\n".join(summary_lines(summary))
    assert "incomplete line" in said
    assert "1 open" in said


# -- other files ------------------------------------------------------------------------------------


def a_whole_trace():
    facts = {"row": "run", "version": 1, "run": "r", "began": "2026-01-01T00:00:00+00:00", "endpoints": [{"name": "a"}]}
    full = a_row(
        task="t", kind="x+y", size=40.0, host="h", slots=2, priority=-3, key="k",
        outcome="overload", retry_after_s=0.5, server_s=0.25,
    )  # fmt: skip
    events = [Happening("r", 0.5, "joined", "a", 3.0, "h"), Happening("r", 2.5, "strategy", name="fifo")]
    attempts = [full, a_row(attempt=2, granted_s=1.5, open=True), a_row(run="s", attempt=1)]
    return Trace([facts, {**facts, "run": "s"}], attempts, events, lost=4, ended={"r"})


def as_tables(trace, path):
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCHEMA)
        insert_rows(db, trace.runs)
        insert_rows(db, [data_of(replace(trace.attempts[0], open=True, outcome=None))])  # and again when it has ended
        insert_rows(db, [data_of(row) for row in (*trace.attempts, *trace.events)])
        insert_rows(db, [{"row": "end", "run": "r", "at_s": 9.0, "lost": 4}])


@pytest.mark.parametrize("name", ["t.jsonl", "t.sqlite"])
def test_every_kind_of_file_has_all_of_it(tmp_path, name):
    trace = a_whole_trace()
    (as_tables if name.endswith("sqlite") else write_trace)(trace, tmp_path / name)
    assert read_trace(tmp_path / name) == trace
    run(str(tmp_path / name), "--out", str(tmp_path / "again.jsonl"))
    assert read_trace(tmp_path / "again.jsonl") == trace
    with pytest.raises(ConfigError, match="is the input file; choose another path"):
        run(str(tmp_path / name), "--out", str(tmp_path / name))


def test_a_pool_may_write_into_the_database_of_a_run(tmp_path):
    with Store(tmp_path / "r") as store, pool_of(ManualClock()) as pool:
        trace = pool.trace(store.trace)
        pool.acquire(timeout=0, holder="one").release()
        trace.flush()
        pool.drain("http://b/")
        with store.log.transaction():
            pass  # the writer waits for its turn
        trace.close()
    found = read_trace(tmp_path / "r")
    assert [each.task for each in found.attempts] == ["one"]
    assert [each.event for each in found.events] == ["drained"]
    assert found.ended == {trace.run}
    with Store(tmp_path / "r") as store, pool_of(ManualClock()) as pool, pool.trace(store.trace) as second:
        store.log.close()  # nothing can be written any more: it costs rows, and no lease
        pool.acquire(timeout=0).release()
        second.flush()
        assert second.lost == 1


# -- the command ------------------------------------------------------------------------------------


def test_one_backend_of_a_log_is_a_trace_by_itself(tmp_path):
    out = tmp_path / "be.jsonl"
    log = str(Path(__file__).parents[1] / "logs" / "haproxy.log")
    found = json.loads(run(log, "--kind", "be", "--out", str(out), "--json"))
    trace = read_trace(out)
    assert {each.kind for each in trace.attempts} == {"be"}
    assert {each.endpoint for each in trace.attempts} == {"be/s1", "be/s2", "be/s3", "be/s4"}
    assert {each.endpoint for each in trace.events} >= {"be/s5"}, "nobody called it"
    assert not any(str(each.endpoint).startswith("tcp") for each in trace.events)
    assert found["attempts"] == len(trace.attempts)
    with pytest.raises(ConfigError, match=r"^--kind: no call is of the kind 'bee'; the trace has be, empty, tcp$"):
        run(log, "--kind", "bee")


_CALL = {"row": "attempt", "run": "a", "attempt": 1, "asked_s": 0, "granted_s": 0, "ended_s": 1, "endpoint": "e"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "10.0.0.1 - - [x]",
            "...which is no line of a trace, of HAProxy or of nginx; if each row is a call, name its columns:",
        ),
        ("7", "...a line of a trace is a JSON object"),
        ('{"row": "attempt", "run": "r"}', "the row of an attempt lacks attempt, asked_s, granted_s, ended_s, e"),
        ('{"row": "run", "version": 99}', "...found version 99"),
        ({"ended_s": math.nan}, "found ended_s nan; it must be a number of seconds"),
        ({"slots": 0}, "found slots 0; it must be a whole number, 1 or more"),
        (
            {"ended_s": -1},
            "found asked_s 0, granted_s 0, ended_s -1; asked_s must come first, then granted_s, then ended_s",
        ),
        ({"size": "many"}, "found size 'many'; it must be a number, 0 or more, or null"),
        ({"row": "run", "run": "r", "version": "x"}, "found version 'x'; it must be a whole number, 1 or more"),
        ({"row": "run", "version": 1}, "found run None; it must be a text"),
        ({"row": "end", "run": "r", "lost": None}, "found lost None; it must be a whole number, 0 or more"),
        ('{"row": "run", "x": ' + "[" * 200_000, "is nested too deep to be a line of a trace"),
        ({"row": "event", "run": "r", "at_s": 0, "event": []}, "found event []; it must be a text"),
        ({"row": "event", "run": "r", "at_s": 0, "event": "limit", "value": 10**400}, "found value 1000"),
        ({"priority": []}, "found priority []; it must be a whole number of 64 bits"),
        ({"open": "no"}, "found open 'no'; it must be true or false"),
    ],
    ids=itertools.count(),
)
def test_a_line_that_holds_anything_is_refused_with_its_place(tmp_path, line, said):
    """A text is the first line; what is no text comes after a call that is right."""
    lines = [line]
    if not isinstance(line, str):
        lines = [json.dumps(_CALL | {"attempt": 0}), json.dumps(line if "row" in line else _CALL | line)]
    (tmp_path / "t.jsonl").write_text("".join(f"{each}\n" for each in lines), encoding="utf-8")
    where = re.escape(f"t.jsonl:{len(lines)}: {said}").replace(re.escape("..."), ".*")
    with pytest.raises(ConfigError, match=where):
        read_trace(tmp_path / "t.jsonl")


def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for pipe in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ConfigError, match=r": is a pipe or a device; save the trace as a file first"):
            read_trace(pipe)
    with pytest.raises(ConfigError, match=r"cannot be read: .*null"):
        read_trace(f"{tmp_path}/a\0b")
    monkeypatch.setattr(files, "_LONGEST", 1000)
    (tmp_path / "t").write_text("x" * 1000)
    with pytest.raises(ConfigError, match=r"t:1: is longer than 1000 characters"):
        read_trace(tmp_path / "t")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("", r"holds no trace: no such table: trace_runs; the database of a"),
        (f"{SCHEMA} INSERT INTO trace_runs VALUES ('r', '{{', NULL)", r"trace_runs: found '{', which is not a JSON o"),
        (f"{SCHEMA} INSERT INTO trace_runs VALUES ('r', x'ff', NULL)", r"trace_runs: found b'.*, which is not a JSON"),
        (f"{SCHEMA} DROP TABLE trace_events; CREATE VIEW trace_events AS SELECT 1", r"trace_events is a view; a trace"),
    ],
    ids=itertools.count(),
)
def test_a_database_that_holds_anything_is_refused_with_what_is_wrong(tmp_path, script, said):
    with pytest.raises(ConfigError, match=r"is a folder without the run\.sqlite of a run; give the file of a trace"):
        read_trace(tmp_path)
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as db, db:
        db.executescript(f"CREATE TABLE spans (a); {script}")
    with pytest.raises(ConfigError, match=rf"run\.sqlite: {said}"):
        read_trace(tmp_path)


def test_a_database_that_cannot_be_opened_is_to_be_copied(tmp_path, monkeypatch):
    as_tables(a_whole_trace(), tmp_path / "t.sqlite")
    error = sqlite3.OperationalError("attempt to write a readonly database")
    monkeypatch.setattr(sqlite3, "connect", Mock(side_effect=error))
    with pytest.raises(ConfigError, match=r"t\.sqlite: cannot be read: attempt to write a readonly .* copy it and"):
        read_trace(tmp_path / "t.sqlite")
