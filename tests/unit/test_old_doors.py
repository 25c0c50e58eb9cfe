"""The old names of what observes a pool: they give the same objects, and say what they are called now."""

import importlib
import sys

import pytest

_MOVED = {
    "balancer.prometheus": ("balancer.observing.prometheus", ("Collector",)),
    "balancer.otel": ("balancer.observing.otel", ("Spans",)),
    "balancer.traces": ("balancer.observing.traces", ("Attempt", "Sink", "Trace", "read_trace", "write_trace")),
}


@pytest.mark.parametrize("old", _MOVED)
def test_an_old_name_gives_the_same_and_warns(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    new, names = _MOVED[old]
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"^{old} is now {new};"):
        door = importlib.import_module(old)
    assert all(getattr(door, name) is getattr(importlib.import_module(new), name) for name in names)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_importers_of_traces_are_found_under_their_old_name() -> None:
    from balancer.traces.importers import from_csv as old  # type: ignore[import-not-found, unused-ignore]

    from balancer.observing.traces.importers import from_csv

    assert old is from_csv
