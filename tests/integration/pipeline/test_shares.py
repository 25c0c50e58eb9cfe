"""Four samples at once on four equal endpoints: who gets how much, and how little of it lies idle."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from balancer.endpoint import Endpoint
from balancer.judging.pending import RunnerHooks, RunnerOptions
from balancer.judging.runner import Runner
from balancer.opening.pool import Pool
from balancer.pipeline.results.run_result import Span
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.shell import judge_problem
from tests.patience import stretched
from tests.unit.pipeline.bench import Bench, make_problem, quiet_progress
from tests.unit.pipeline.fakes import FakeExecutor, no_leases_out

URLS = ["a", "b", "c", "d"]
CALLS_S = (0.02, 0.02, 0.04, 0.08, 0.16)
_BUSY = 0.97
_APART = 3  # leases more or less on a busy machine; a strategy that prefers one endpoint is dozens apart


@pytest.fixture(scope="module")
def spans(tmp_path_factory):
    """The leases of a run of four problems with equal calls, by their start.

    Whatever else runs on the machine can only make shares uneven and slots idle, so the best of some runs counts, of
    ever longer calls: what is between two calls is then ever less of the whole.
    """
    runs = []
    for call_s in CALLS_S:
        runs.append(_run(tmp_path_factory.mktemp("shares"), call_s))
        if _utilisation(runs[-1]) >= _BUSY and _spread(runs[-1]) <= 1:
            break
    return max(runs, key=lambda run: (-_spread(run), _utilisation(run)))


def _spread(spans: Sequence[Span]) -> int:
    counts = Counter(span.endpoint for span in spans)
    return max(counts.values()) - min(counts[url] for url in URLS)


def _utilisation(spans: Sequence[Span]) -> float:
    """Return the part of the slots' time that was leased, up to the start of the last lease."""
    first_s, last_s = spans[0].started_s, spans[-1].started_s
    return sum(min(span.ended_s, last_s) - span.started_s for span in spans) / (len(URLS) * (last_s - first_s))


def _run(folder: Path, call_s: float) -> Sequence[Span]:
    executors = {url: FakeExecutor(call_s=lambda: call_s) for url in URLS}
    pool = Pool(map(Endpoint, URLS), strategy="fifo")
    with Store(folder) as store:
        session = store.begin_session("fifo", 4)
        runner = Runner(
            pool,
            executors,
            RunnerOptions(attempts=1, quiet_label="quiet"),
            RunnerHooks(on_span=lambda span: store.leases.add(session, span)),
        )
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(judge_problem, [_sample(number, runner, store) for number in range(4)]))
        assert no_leases_out(pool)
        found = store.leases.of(session)
    assert len(found) == pool.stats().acquired == sum(len(executor.calls) for executor in executors.values())
    return sorted(found, key=lambda span: span.started_s)


def _sample(number: int, runner: Runner, store: Store) -> Sample:
    bench = Bench(Path(), make_problem(f"problem {number}"), workers=4, max_inputs=4, max_proposals=8)
    return Sample(bench.problem, bench.generators, bench.settings, runner, store, quiet_progress())


def test_equal_endpoints_get_equally_many_leases(spans):
    assert len(spans) > 200
    assert _spread(spans) <= _APART


def test_no_slot_idles_while_there_is_work(spans):
    """There is always another sample that wants the slot, up to the last lease of all."""
    assert 1 - stretched(1 - _BUSY) <= _utilisation(spans) <= 1


def test_no_sample_waits_for_another_s_end(spans):
    """The four begin together and end together: none is served first."""
    ends_s = {span.problem: span.ended_s for span in spans}
    length_s = max(ends_s.values()) - spans[0].started_s
    assert min(ends_s.values()) - spans[0].started_s >= 0.7 * length_s
    assert len({span.problem for span in spans[:16]}) == 4
