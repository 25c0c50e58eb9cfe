"""How many slots there are follows what the scenario changes, and utilisation is of the slots that there were."""

import pytest

from tests.simulation.scenarios import at, endpoint, run


def test_an_update_changes_what_utilisation_is_part_of():
    """One slot is in use from 0 to 100; there is one until 50, then there are four: 100 of 50 + 200 slot-seconds."""
    update = {"at_s": 50.0, "do": "update", "url": "a", "capacity": 4}
    record = run(at([0.0], 1000.0, changes=[update]))
    assert record.metrics["utilisation"] == pytest.approx(100 / 250)
    assert (record.by_endpoint[0].capacity, record.by_endpoint[0].slots_s) == (1, 250.0)
    middles = (record.timeline.at_s[1:] + record.timeline.at_s[:-1]) / 2
    found = record.timeline.utilisation[0]
    assert found[middles < 48].tolist() == pytest.approx([1.0] * int((middles < 48).sum()))
    assert found[middles > 52].tolist() == pytest.approx([0.25] * int((middles > 52).sum()))


def test_only_the_time_that_counts_has_slots():
    record = run(at([20.0], 1000.0, warmup_s=20.0))
    assert (record.by_endpoint[0].slots_s, record.metrics["utilisation"]) == (80.0, 1.0)


def test_who_is_not_in_the_pool_has_no_slots():
    late, left = endpoint("late", from_s=60.0), endpoint("left", capacity=2)
    changes = [
        {"at_s": 10.0, "do": "drain", "url": "left"},
        {"at_s": 20.0, "do": "update", "url": "left", "capacity": 3},
        {"at_s": 40.0, "do": "add", "url": "left"},
        {"at_s": 90.0, "do": "remove", "url": "left"},
    ]
    record = run(at([0.0], 1.0, endpoint("a"), late, left, changes=changes))
    assert {each.url: each.slots_s for each in record.by_endpoint} == {"a": 100.0, "late": 40.0, "left": 20.0 + 150.0}
