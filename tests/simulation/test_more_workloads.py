"""Kinds in batches, a number of calls, think time; what is told of kinds and servers."""

import pytest

from tests.simulation.scenarios import at, batch, closed, endpoint, run, times

TWO_KINDS = {
    "kinds": [{"name": "short", "share": 3}, {"name": "long", "work": {"kind": "deterministic", "mean_s": 4.0}}]
}


def test_a_batch_uses_all_kinds():
    record = run(batch([{"name": "s", "tasks": 400, "workers": 4}], endpoint(capacity=4), requests=TWO_KINDS,
                       horizon_s=5000.0))  # fmt: skip
    found = {kind.name: kind for kind in record.kinds}
    assert found["short"].completed + found["long"].completed == 400
    assert 60 <= found["long"].completed <= 140  # a quarter of 400, 4 deviations of 8.7 and more
    assert found["short"].sojourn.most == 1.0
    assert found["long"].sojourn.most == 4.0


def test_the_work_of_a_stage_comes_before_that_of_a_kind():
    work = {"kind": "deterministic", "mean_s": 0.5}
    record = run(batch([{"name": "s", "tasks": 8, "workers": 1, "work": work}], requests=TWO_KINDS))
    assert record.makespan_s == 4.0


def test_a_worker_of_a_batch_thinks_before_each_task():
    think = {"kind": "deterministic", "mean_s": 0.5}
    record = run(batch([{"name": "a", "tasks": 3, "workers": 1, "think": think}]))
    assert times(record) == [(0.5, 1.5), (2.0, 3.0), (3.5, 4.5)]
    both = run(batch([{"name": "a", "tasks": 2, "workers": 2, "think": think}, {"name": "b", "tasks": 1, "workers": 1}],
                     endpoint(capacity=2)))  # fmt: skip
    assert both.makespan_s == 2.5


def test_closed_ends_after_so_many_calls():
    scenario = closed(3, 0.0, 1.0, endpoint(capacity=2))
    workload = {**scenario.workload.to_data(), "calls": 7}
    record = run(scenario.changed(workload=workload))
    assert (record.completed, record.unfinished, record.makespan_s) == (7, 0, 4.0)
    assert record.measured_s == 4.0


def test_a_replay_has_a_makespan_if_it_is_done():
    assert run(at([0.0, 1.0, 5.0], 2.0)).makespan_s == 7.0
    assert run(at([0.0, 99.0], 2.0)).makespan_s is None
    assert run(at([0.0], 2.0)).measured_s == 100.0, "the horizon is still what counts"


# -- what is told -----------------------------------------------------------------------------------


def test_a_span_says_when_its_attempt_asked():
    record = run(at([0.0, 0.25], 1.0))
    assert [(span.asked_s, span.started_s) for span in record.spans] == [(0.0, 0.0), (0.25, 1.0)]


def test_kinds_are_told_apart_and_add_up():
    record = run(at([0.0, 0.25, 0.5, 0.75], 1.0, requests={"kinds": [{"name": "a"}, {"name": "b"}]}))
    assert sum(kind.completed for kind in record.kinds) == record.completed == 4
    assert sum(kind.sojourn.mean * kind.completed for kind in record.kinds) == pytest.approx(4 * record.sojourn.mean)
    assert run(at([0.0], 1.0)).kinds == ()


@pytest.mark.parametrize(
    ("model", "values", "slots"),
    [
        ({"capacity": 2}, {}, 0.25),
        ({"capacity": 2, "parallel": 1}, {}, 0.375),  # one waits inside for a second
        ({"network": {"kind": "deterministic", "mean_s": 0.5}, "capacity": 2}, {}, 0.375),
        ({"capacity": 2, "host": "h"}, {"hosts": {"h": {"cores": 1}}}, 0.5),
        ({"capacity": 2, "host": "h"}, {"hosts": {"h": {"cores": 4}}}, 0.25),
    ],
)
def test_a_slot_is_in_use_on_the_network_and_in_a_queue_too(model, values, slots):
    record = run(at([0.0, 0.0], 1.0, endpoint(**model), horizon_s=4.0, **values))
    assert record.metrics["utilisation"] == pytest.approx(slots)
