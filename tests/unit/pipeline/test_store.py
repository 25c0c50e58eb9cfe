"""What a results folder remembers, for whom it is, and what is said of one that cannot be used."""

import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.errors import BalancerError, ConfigError
from balancer.judging.pending import RunStage, Span
from balancer.pipeline.results.problem_log import CaseState, ProblemLog, ProposalBatch, StoredVerdict
from balancer.pipeline.results.run_result import settle
from balancer.pipeline.results.store import SeenBefore, Store
from balancer.problem import Origin, Proposal, Verdict
from balancer.program import Program
from tests.patience import PATIENCE_S
from tests.unit.pipeline.bench import make_problem

ROOT = Path(__file__).resolve().parents[3]
OWN = Proposal(b"1\n", Origin("data", "sample/1.in"), b"2\n", sample=True)
MADE_UP = Proposal(b"\x00\xff", Origin("mutate", "token 1: 1 -> \N{INFINITY}"))
SPAN = Span("http://a/", "p", RunStage.AGREE, "accepted/a.py", 3, 0.5, 1.25, "success")


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "deep" / "results") as store:
        yield store


# -- what is put in comes out --------------------------------------------------------------------------


def test_a_case_keeps_its_answer_unless_it_gets_one(store):
    store.of("p").propose(0, ProposalBatch([OWN, MADE_UP], []))
    store.of("p").set_case(1, CaseState.VALID)
    store.of("p").set_case(2, CaseState.VALID, "", b"")
    store.of("p").set_case(2, CaseState.CONTESTED, "why")
    own, made_up = store.of("p").cases()
    assert (own.state, own.answer, own.note) == (CaseState.VALID, b"2\n", "")
    assert (made_up.state, made_up.answer, made_up.note) == (CaseState.CONTESTED, b"", "why")
    assert store.of("p").cases(CaseState.VALID, CaseState.READY) == [own]
    assert store.of("p").cases(CaseState.READY) == []


def test_words_that_are_no_text_do_not_end_the_log(tmp_path):
    with Store(tmp_path / "r") as store:
        store.of("p").trouble("a generator failed: no file \udcff in \N{INFINITY}")
        store.of("p").trouble("another")
    with Store(tmp_path / "r") as store:
        assert [*store.of("p").troubles] == ["a generator failed: no file ? in \N{INFINITY}", "another"]


def test_reopen_tries_again_what_was_lost(store):
    log = store.of("p")
    log.propose(0, ProposalBatch([OWN] * 3))
    for number, state in enumerate((CaseState.UNJUDGED, CaseState.SPARE, CaseState.READY), 1):
        log.set_case(number, state)
    log.judged("lost", 3, Verdict.UNJUDGED, 0.1, "")
    log.judged("found", 3, Verdict.ACCEPTED, 0.1, "")
    log.reopen()
    assert [case.state for case in log.cases()] == [CaseState.PROPOSED, CaseState.PROPOSED, CaseState.READY]
    assert log.verdicts().keys() == {("found", 3)}


# -- what is put in stays in ---------------------------------------------------------------------------


def test_what_is_left_of_a_log_when_the_process_dies_is_its_beginning(tmp_path):
    """Whatever is lost, all that followed from it is lost too."""
    code = f"""
import os, signal, sys, threading, time
from pathlib import Path
from balancer.pipeline.results.store import Store
for life in range(6):
    if os.fork():
        assert os.wait()[1] == signal.SIGKILL
        continue
    log = Store(Path({str(tmp_path)!r}, str(life))).of("p")
    threading.Timer(0.03 * life, os.kill, (os.getpid(), signal.SIGKILL)).start()
    for number in range(10**9):
        log.leave_out(f"{{number % 50}}", f"{{number}}")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    for life in range(6):
        with Store(tmp_path / str(life)) as store:
            numbers = [int(why) for _, (_, why) in store.log.of("p", "leave_out")]
            assert numbers == list(range(len(numbers)))
    assert numbers, "what has waited for a while is written"


def test_a_batch_that_cannot_be_written_is_kept_and_told_of(tmp_path):
    found = ("a", 1, Verdict.ACCEPTED, 0.5, "")
    with Store(tmp_path) as store, closing(sqlite3.connect(tmp_path / "run.sqlite", isolation_level=None)) as other:
        other.execute("ALTER TABLE events RENAME TO gone")
        log = ProblemLog("p", store.log.add_all)
        with pytest.raises(BalancerError, match="no such table: events; check that the disk has room"):
            log.judged(*found)
        other.execute("ALTER TABLE gone RENAME TO events")
        assert store.of("p").verdicts() == {("a", 1): StoredVerdict(*found)}
    with pytest.raises(BalancerError, match=r"run\.sqlite: .*closed"):
        log.judged(*found)


def test_leases_wait_for_what_follows_them(tmp_path):
    with Store(tmp_path) as store, closing(sqlite3.connect(tmp_path / "run.sqlite")) as other:
        store.leases.add("s", SPAN)
        assert other.execute("SELECT COUNT(*) FROM events").fetchone() == (0,)
        store.of("p").leave_out("a", "why")
        assert other.execute("SELECT kind FROM events ORDER BY seq").fetchall() == [("leased",), ("leave_out",)]


def test_a_locked_database_is_waited_for(tmp_path):
    """As another program locks it that looks at the results."""
    with Store(tmp_path) as store, closing(sqlite3.connect(tmp_path / "run.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(store.of("p").leave_out, "a", "why")
            time.sleep(0.1)
            other.execute("COMMIT")
            waiting.result(PATIENCE_S)
    with Store(tmp_path) as store:
        assert store.of("p").left_out == {"a": "why"}


_TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
_EVENTS = st.lists(
    st.one_of(
        st.builds(lambda data, many: ("propose", 0, ProposalBatch([Proposal(data, OWN.origin)] * many)),
                  st.binary(max_size=9), st.integers(1, 3)),
        st.builds(lambda *payload: ("set_case", *payload),
                  st.just(1), st.sampled_from(CaseState), _TEXT, st.none() | st.binary(max_size=9)),
        st.builds(lambda *payload: ("judged", *payload),
                  _TEXT, st.just(1), st.sampled_from(Verdict), st.floats(0, 9), _TEXT),
        st.builds(lambda *payload: ("leave_out", *payload), _TEXT, _TEXT),
        st.builds(lambda *payload: ("bring", *payload), st.sampled_from(["checker", "validator"]), _TEXT, _TEXT, _TEXT),
        st.builds(lambda *payload: ("shrunk", *payload), st.just(1), _TEXT, st.none() | st.binary(max_size=9), _TEXT),
        st.sampled_from([("reopen",), ("answer_again", 1), ("spare", 0), ("want_again", 0), ("forget_troubles",),
                         ("bring_back", 0, 1), ("put_off", "why"), ("remark", "x", "y"), ("trouble", "t"),
                         ("set_limit", 2.5), ("set_codes", "v", 0, [1, 43]), ("spent", 1.0),
                         ("forget_verdicts", [("", 1)])]),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60)
@given(events=_EVENTS)
def test_a_log_that_is_played_again_comes_to_the_same(tmp_path_factory, events):
    folder = tmp_path_factory.mktemp("results")
    with Store(folder) as store:
        lived = store.of("p")
        lived.propose(0, ProposalBatch([OWN], ["note"]))
        for kind, *payload in events:
            getattr(lived, kind)(*payload)
    with Store(folder) as store:
        known = {name: value for name, value in vars(store.of("p")).items() if name not in ("_sink", "_lock")}
        assert known == {name: vars(lived)[name] for name in known}


# -- whose it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"seed": "1", "problem p": "xyz"}, "problem p"),
        ({"seed": "1"}, "problem p"),
        ({"seed": "2", "problem q": "abc"}, "problem p, problem q, seed"),
    ],
)
def test_another_run_s_folder_is_refused_in_one_line(store, other, named):
    store.claim({"seed": "1", "problem p": "abc"})
    with pytest.raises(ConfigError) as caught:
        store.claim(other)
    (line,) = caught.value.problems
    assert line.endswith(
        f"deep/results: holds a run with other {named}; use --fresh to start over, or choose other --results"
    )
    store.claim({"problem p": "abc", "seed": "1"})  # its own may be claimed again


def test_a_second_one_is_locked_out_until_the_first_is_closed(tmp_path):
    with Store(tmp_path) as first:
        for fresh in (False, True):
            with pytest.raises(ConfigError) as caught:
                Store(tmp_path, fresh=fresh)
            (line,) = caught.value.problems
            assert line == f"{tmp_path}: another run is writing here; wait for it or choose other --results"
        first.of("p").leave_out("a", "still works")
    with Store(tmp_path) as second:
        assert second.of("p").left_out == {"a": "still works"}


def test_fresh_forgets_the_run_and_nothing_else(tmp_path):
    """Whatever else came to lie there is somebody's."""
    with Store(tmp_path) as store:
        store.claim({"seed": "1"})
        store.of("p").leave_out("a", "why")
    (tmp_path / "thesis.tex").write_text("ten years of work")
    (tmp_path / "photos").mkdir()
    with Store(tmp_path, fresh=True) as store:
        store.claim({"seed": "2"})
        assert store.of("p").left_out == {}
    assert (tmp_path / "thesis.tex").read_text() == "ten years of work"
    assert (tmp_path / "photos").is_dir()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_other_files_is_left_alone(tmp_path, fresh):
    """A run replaces reports and cases in its folder: `--results .` must not cost anybody theirs."""
    (tmp_path / "cases").mkdir()
    with pytest.raises(ConfigError, match="holds files but no earlier run; choose an empty folder"):
        Store(tmp_path, fresh=fresh)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cases"]


# -- what cannot be used -------------------------------------------------------------------------------


def _garbage(folder: Path) -> None:
    folder.mkdir()
    (folder / "run.sqlite").write_bytes(bytes(range(256)) * 64)


def _is_in_a_file(folder: Path) -> None:
    folder.parent.rmdir()
    folder.parent.write_text("")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (Path.touch, "results: cannot be written: File exists"),
        (_is_in_a_file, "results: cannot be written: Not a directory"),
        (lambda folder: (folder / "run.lock").mkdir(parents=True), "results: cannot be written: Is a directory"),
        (lambda folder: (folder / "run.sqlite").mkdir(parents=True), "run.sqlite: unable to open database file"),
        (_garbage, "run.sqlite: file is not a database; use --fresh"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(tmp_path, spoil, found):
    folder = tmp_path / "a" / "results"
    folder.parent.mkdir()
    spoil(folder)
    with pytest.raises(ConfigError) as caught:
        Store(folder)
    (line,) = caught.value.problems
    assert found in line
    assert "choose other --results" in line


def test_a_database_that_fails_later_is_one_line(tmp_path):
    """As a disk that is full, which is played here by a limit on the pages."""
    with Store(tmp_path) as store:
        store.of("p").propose(0, ProposalBatch([OWN], []))
        (pages,) = store.log.row("PRAGMA page_count") or (0,)
        store.log.row(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(BalancerError, match=r"run\.sqlite: database or disk is full; check that the disk"):
            store.of("q").propose(0, ProposalBatch([Proposal(bytes(200_000), OWN.origin)], []))
        with pytest.raises(BalancerError, match="disk is full"):
            store.of("r").cases()
    with Store(tmp_path) as store:
        assert store.of("p").cases()[0].data == OWN.data
        assert store.of("q").cases() == [], "all or none of a batch"
        store.of("q").propose(0, ProposalBatch([Proposal(bytes(200_000), OWN.origin)], []))
    with Store(tmp_path) as store:
        assert len(store.of("q").cases()[0].data) == 200_000


def test_a_damaged_database_is_one_line(tmp_path):
    with Store(tmp_path) as store:
        store.of("p").propose(0, ProposalBatch([Proposal(bytes(5000), OWN.origin)] * 20, []))
    file = tmp_path / "run.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(BalancerError, match=r"run\.sqlite: .*--fresh"), Store(tmp_path) as store:
        store.of("p").cases()


def test_a_problem_that_has_changed_begins_anew(store):
    doubling = make_problem(wrong=["square"])
    assert store.problems.meet(doubling, 3, "one") is SeenBefore.NEW
    store.of(doubling.id).propose(0, ProposalBatch([OWN], ["note"]))
    store.of(doubling.id).judged("square", 1, Verdict.ACCEPTED, 0.5, "")
    store.of(doubling.id).leave_out("square", "why")
    store.of(doubling.id).bring("validator", "python", "v", "v.py")
    assert store.problems.meet(doubling, 3, "one") is SeenBefore.KNOWN
    assert store.of(doubling.id).brought["validator"] == Program("python", "v", "v.py")
    assert store.problems.meet(doubling, 3, "two") is SeenBefore.CHANGED
    log = store.of(doubling.id)
    assert not any((log.cases(), log.verdicts(), log.left_out, log.brought, log.has_begun(0)))


def test_only_what_was_judged_to_the_end_is_done(store):
    doubling = make_problem(accepted=["double"], wrong=["square"])
    store.problems.meet(doubling, 0, "print")
    store.of(doubling.id).propose(0, ProposalBatch([OWN], []))
    store.of(doubling.id).set_case(1, CaseState.READY, "", b"2")
    for verdict, met in ((Verdict.UNJUDGED, SeenBefore.KNOWN), (Verdict.WRONG_ANSWER, SeenBefore.DONE)):
        store.of(doubling.id).judged("double", 1, Verdict.ACCEPTED, 0.1, "")
        store.of(doubling.id).judged("square", 1, verdict, 0.1, "")
        settle(store, doubling)
        assert store.problems.meet(doubling, 0, "print") is met


def test_results_of_another_version_are_refused_in_one_line_and_stay_as_they_are(tmp_path):
    with Store(tmp_path) as store:
        store.describe({"kind": "packages"})
    with Store(tmp_path) as store:
        assert store.source == {"kind": "packages"}
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as db:
        db.execute("PRAGMA user_version = 7")
    with pytest.raises(ConfigError, match=r"run\.sqlite: was made by another version of balancer; use that one"):
        Store(tmp_path)
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as db:
        assert db.execute("SELECT payload FROM events WHERE kind = 'described'").fetchone() == (
            '[{"kind":"packages"}]',
        )
    with Store(tmp_path, fresh=True) as store:
        assert store.source == {}
