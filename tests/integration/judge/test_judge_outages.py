"""Completions are judged on real servers of which one dies and one drowns: the scores are what they must be."""

import pytest

from tests.benchmarks.bench_judge import completions, in_trouble

_COUNT = 40  # the benchmark judges thousands, from threads as well


@pytest.mark.more
def test_no_score_is_a_servers_doing() -> None:
    run = in_trouble(_COUNT, tasks=True)
    must = list(completions(_COUNT))
    wrong = [
        f"{number}, {each.kind}: {judged.score}, {judged.note}"
        for number, (each, judged) in enumerate(zip(must, run.judged, strict=True))
        if judged.score != each.score
    ]
    assert not wrong
    assert run.failures > 0, "no call failed: there was no trouble"
