"""Links in a results folder: what they lead to is never written to, whoever put them there."""

import os
import sqlite3
from types import SimpleNamespace
from typing import cast

import pytest

from balancer.errors import ConfigError
from balancer.pipeline.report.export import export_cases
from balancer.pipeline.results.log import lock_folder
from balancer.pipeline.results.problem_log import ProposalBatch
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.problem import Origin, Proposal
from balancer.reporting.files import put_text

TEXT = "ten years of work"


@pytest.fixture
def folder(tmp_path):
    """A results folder with a run."""
    Store(tmp_path / "results").close()
    return tmp_path / "results"


@pytest.fixture
def thesis(tmp_path):
    file = tmp_path / "thesis.tex"
    file.write_text(TEXT)
    return file


@pytest.fixture
def lock(folder):
    """Where its lock has to lie, and nothing lies."""
    (folder / "run.lock").unlink()
    return folder / "run.lock"


@pytest.mark.parametrize("fresh", [False, True])
def test_a_lock_that_is_a_link_is_refused_in_one_line(lock, thesis, fresh):
    lock.symlink_to(thesis)
    with pytest.raises(ConfigError) as caught:
        Store(lock.parent, fresh=fresh)
    advice = "is a link; a run writes only to its own files; remove it, or choose other --results"
    assert caught.value.problems == (f"{lock}: {advice}",)
    assert thesis.read_text() == TEXT


def test_a_lock_that_is_a_second_name_of_a_file_leaves_its_text(lock, thesis):
    os.link(thesis, lock)
    Store(lock.parent).close()
    assert thesis.read_text() == TEXT


def test_a_lock_that_is_a_pipe_does_not_block(lock):
    os.mkfifo(lock)
    lock_folder(lock.parent).close()


@pytest.mark.parametrize("name", ["run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "run.sqlite-journal"])
def test_a_database_that_is_a_link_is_refused(folder, tmp_path, name):
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE photos (name TEXT)")
    db.close()
    before = other.read_bytes()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(other)
    with pytest.raises(ConfigError, match=rf"{name}: is a link"):
        Store(folder)
    assert other.read_bytes() == before
    Store(folder, fresh=True).close()  # forgets the link, and not what it leads to
    assert other.read_bytes() == before
    assert not (folder / name).is_symlink()


def test_cases_are_not_written_through_a_link(folder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").write_text(TEXT)
    (folder / "cases").symlink_to(photos)
    kills = SimpleNamespace(id="p", killers=[SimpleNamespace(id=1, sample=False)])
    with Store(folder) as store:
        store.of("p").propose(0, ProposalBatch([Proposal(b"1", Origin("mutate", ""), b"2")], []))
        export_cases(store, cast(RunResult, SimpleNamespace(problems=[kills])), folder / "cases")
    assert (folder / "cases/p/001.ans").read_bytes() == b"2"
    assert [file.name for file in photos.iterdir()] == ["one.jpg"]
    assert not (folder / "cases").is_symlink()


def test_a_report_takes_the_place_of_a_link(folder, thesis):
    (folder / "report.html").symlink_to(thesis)
    put_text(folder / "report.html", "<p>")
    assert (folder / "report.html").read_text() == "<p>"
    assert thesis.read_text() == TEXT
