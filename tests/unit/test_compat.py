"""The old global queue's three functions: what they promise, and what they refuse."""

import importlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer import BalancerError, UnknownEndpoint
from balancer import compat as installed

PATHS = ["http://a:8080/run_code", "http://b:8080/run_code"]


@pytest.fixture
def compat():
    """The module as a process sees it first: its pool is global, so each test has its own."""
    yield importlib.reload(installed)
    importlib.reload(installed)


@pytest.fixture
def queue(compat):
    """The module with two paths."""
    compat.initialize_global_api_queue(PATHS)
    return compat


def drain(queue):
    """Take all that is there."""
    taken = []
    while (path := queue.get_api_path(timeout=0)) is not None:
        taken.append(path)
    return taken


# -- what it promises ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["10.0.0.1:8080", "http://H:80/", "http://h:99999", "me:pw@h:1", "{1..2}"])
def test_a_path_is_any_text_and_comes_back_as_it_was(compat, path):
    compat.initialize_global_api_queue([path, path])
    assert drain(compat) == [path, path]
    compat.return_api_path(path)
    assert compat.get_api_path() == path


@pytest.mark.usefixtures("compat")
@given(paths=st.lists(st.sampled_from("abc"), min_size=1, max_size=8), data=st.data())
def test_it_is_a_bag_of_paths(paths, data):
    """Any order of taking and giving back: what is out and what is in are together what was put in."""
    compat = importlib.reload(installed)
    compat.initialize_global_api_queue(paths)
    out = []
    for take in data.draw(st.lists(st.booleans(), max_size=30)):
        if take:
            path = compat.get_api_path(timeout=0)
            assert (path is None) == (len(out) == len(paths))
            out += [path] if path else []
        elif out:
            compat.return_api_path(out.pop(data.draw(st.integers(0, len(out) - 1))))
    assert Counter(out + drain(compat)) == Counter(paths)


def test_initialising_again_does_nothing(queue):
    path = queue.get_api_path()
    queue.initialize_global_api_queue(list(reversed(PATHS)))
    queue.initialize_global_api_queue(iter(PATHS))
    assert drain(queue) == [other for other in PATHS if other != path], "the one that is out stays out"
    queue.return_api_path(path)


# -- what it refuses -----------------------------------------------------------------------------------


def test_without_paths_it_is_not_made(compat):
    with pytest.raises(BalancerError, match="name at least one endpoint"):
        compat.initialize_global_api_queue([])
    compat.initialize_global_api_queue(PATHS)


def test_one_string_is_not_a_list_of_paths(compat):
    """Else every letter would be an endpoint."""
    with pytest.raises(BalancerError, match="a list of paths"):
        compat.initialize_global_api_queue(PATHS[0])
    compat.initialize_global_api_queue(PATHS)


@pytest.mark.parametrize("other", [PATHS[:1], [*PATHS, PATHS[0]], ["http://c"], [*PATHS, "http://c"]])
def test_other_paths_are_refused_and_change_nothing(queue, other):
    with pytest.raises(BalancerError, match=r"exists already with (.*), not (?!\1).*; initialise it once"):
        queue.initialize_global_api_queue(other)
    assert sorted(drain(queue)) == PATHS


@pytest.mark.parametrize("foreign", ["http://c", "", None, 7, ["http://a"]])
def test_a_foreign_path_cannot_be_returned(queue, foreign):
    path = queue.get_api_path()
    with pytest.raises(UnknownEndpoint, match="no endpoint"):
        queue.return_api_path(foreign)
    assert len(drain(queue)) == 1
    queue.return_api_path(path)
    assert drain(queue) == [path]


def test_a_path_cannot_be_returned_twice(queue):
    path = queue.get_api_path()
    queue.return_api_path(path)
    with pytest.raises(BalancerError, match="is not out, so it cannot be returned; return each path once"):
        queue.return_api_path(path)
    assert sorted(drain(queue)) == PATHS, "there is no duplicate"
