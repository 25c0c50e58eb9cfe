"""What makes runs cheap changes nothing else: garbage is collected seldom in a run, and as before after it."""

import gc

import pytest

from tests.simulation.scenarios import at, run


@pytest.fixture(autouse=True)
def thresholds():
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def test_the_garbage_collector_looks_seldom_during_a_run_and_as_before_after_it():
    seen = []
    gc.set_threshold(500, 5, 5)

    def look(*_: object) -> None:
        seen.append(gc.get_threshold())
        if len(seen) == 1:
            run(at([0.0]))  # a run in a run, as in another thread
            seen.append(gc.get_threshold())

    run(at([0.0, 1.0]), observer=look)
    assert seen == [(100_000, 5, 5)] * 3
    assert gc.get_threshold() == (500, 5, 5)
