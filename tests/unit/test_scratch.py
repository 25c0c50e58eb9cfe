"""Temporary folders: what a killed process leaves is swept, and nothing else is."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import Mock

import pytest

from balancer import scratch
from balancer.sandbox.local.executor import LocalExecutor
from balancer.scratch import Scratch, sweep

HOLD = """
import sys, time
from pathlib import Path
from balancer.scratch import Scratch
folder = Scratch("balancer-", Path(sys.argv[1]))
deep = folder.path / "run-1" / "files"
deep.mkdir(parents=True)
(deep / "big").write_text("x")
(deep / "away").symlink_to(sys.argv[2])
(folder.path / "link").symlink_to(sys.argv[2])
print(folder.path, flush=True)
time.sleep(60)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "_swept", set())
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("photo")
    return tmp_path / "photos"


def test_what_a_killed_process_left_is_swept_by_the_next_and_the_living_keep_theirs(place, photos):
    command = [sys.executable, "-c", HOLD, str(place), str(photos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        left = Path(process.stdout.readline().strip())
        assert sweep(place) == []
        assert (left / "run-1/files/big").exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert left.exists()
        with Scratch("balancer-", place) as mine:
            assert not left.exists()
            assert list(place.iterdir()) == [mine.path]
            assert sweep(place) == []  # held by this very process
    assert list(place.iterdir()) == []
    assert [file.name for file in photos.iterdir()] == ["one.jpg"]


def dead(place):
    """What a dead process has left."""
    folder = Scratch("balancer-", place)
    left = place / "balancer-dead"
    left.mkdir()
    os.rename(folder.path / ".held", left / ".held")
    folder.close()
    scratch._swept.clear()
    return left


def test_what_has_no_mark_is_not_ours(place, photos):
    (place / "balancer-notes").mkdir()
    (place / "balancer-notes" / "thesis.tex").write_text("ten years of work")
    assert sweep(place) == []
    assert (place / "balancer-notes" / "thesis.tex").exists()


def test_links_are_not_followed(place, photos, tmp_path):
    left = dead(place)
    os.rename(left, tmp_path / "elsewhere")
    (place / "balancer-link").symlink_to(tmp_path / "elsewhere")
    (place / "balancer-mark").mkdir()
    (place / "balancer-mark" / ".held").symlink_to(photos / "one.jpg")
    assert sweep(place) == []
    assert (tmp_path / "elsewhere" / ".held").exists()
    assert (place / "balancer-mark").exists()
    assert (photos / "one.jpg").read_text() == "photo"


def test_a_pipe_for_a_mark_does_not_block(place):
    (place / "balancer-pipe").mkdir()
    os.mkfifo(place / "balancer-pipe" / ".held")
    assert sweep(place) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("whose", [".", ".held"])
def test_another_users_folder_is_left_alone(place, whose):
    left = dead(place)
    os.chown(left / whose, 4242, 4242)
    assert sweep(place) == []
    os.chown(left / whose, os.geteuid(), os.getegid())
    assert sweep(place) == [left]


def test_the_mark_goes_last_so_that_a_sweeper_that_dies_leaves_the_rest_to_the_next(place, monkeypatch):
    left = dead(place)
    (left / "programs").mkdir()
    (left / "stdin").write_text("")

    with monkeypatch.context() as patched:
        patched.setattr(scratch, "remove_tree", Mock(side_effect=OSError("killed")))
        assert sweep(place) == []
    assert (left / ".held").exists()
    assert sweep(place) == [left]


def test_a_place_without_locks_is_used_all_the_same(place, monkeypatch):
    monkeypatch.setattr("fcntl.flock", Mock(side_effect=OSError("no locks here")))
    with Scratch("balancer-", place) as folder:
        assert folder.path.is_dir()
        assert sweep(place) == []
    assert list(place.iterdir()) == []


def test_an_executor_sweeps_what_a_killed_one_left(monkeypatch):
    with TemporaryDirectory(prefix="balancer-tests-") as folder:  # pytest's folders are closed to other users
        place = Path(folder)
        place.chmod(0o755)
        monkeypatch.setattr("tempfile.tempdir", folder)
        left = dead(place)
        with closing(LocalExecutor("local://here")):
            assert not left.exists()
            assert len(list(place.glob("balancer-*"))) == 1
        assert list(place.glob("balancer-*")) == []
