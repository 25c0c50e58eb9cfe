"""Samples of parametrized tests: `@pytest.mark.sampled(n)` leaves n cases to `make test`, the rest to `make more`."""

from collections.abc import Iterable

import pytest


def leave_to_more(items: Iterable[pytest.Item]) -> None:
    """Mark as `more` all cases of a sampled test but n, which are spread evenly over all."""
    cases: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled") and not item.get_closest_marker("more"):
            cases.setdefault((str(item.path), getattr(item, "originalname", item.name)), []).append(item)
    for several in cases.values():
        mark = several[0].get_closest_marker("sampled")
        assert mark is not None
        (most,) = mark.args
        kept = {len(several) * number // most for number in range(most)}
        for position, item in enumerate(several):
            if position not in kept:
                item.add_marker(pytest.mark.more)
