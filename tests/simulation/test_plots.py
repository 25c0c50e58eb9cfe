"""Plots are axes of matplotlib: of the numbers that the frames have, with what is not known drawn as such."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from balancer_simulator import Sweep, run_study
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from balancer.errors import ConfigError
from tests.simulation.scenarios import arriving, closed, endpoint


@pytest.fixture(scope="module")
def study():
    scenario = arriving(1.5, endpoint("http://a{1..2}/", capacity=2, parallel=1), horizon_s=400.0, warmup_s=50.0)
    return run_study(scenario.changed(loads=[0.3, 0.95], replications=3), ["random", "least_in_flight", "always_first"])


@pytest.fixture
def ax():
    return Figure().add_subplot()


def labels(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


ALL: dict[str, Callable[..., Axes]] = {
    "cdf": lambda study, ax: study.plot.cdf("wait_s", ax=ax),
    "tail": lambda study, ax: study.plot.cdf("sojourn_s", tail=True, ax=ax),
    "queue": lambda study, ax: study.plot.queue(ax=ax),
    "utilisation": lambda study, ax: study.plot.utilisation(ax=ax),
    "ranking": lambda study, ax: study.plot.ranking("sojourn_p99_s", ax=ax),
    "shares": lambda study, ax: study.plot.shares(ax=ax),
    "curve": lambda study, ax: study.plot.curve("sojourn_mean_s", ax=ax),
    "heat": lambda study, ax: study.plot.heat("sojourn_p99_s", ax=ax),
}


@pytest.mark.parametrize("draw", ALL.values(), ids=ALL)
def test_every_plot_is_on_the_axes_that_are_given_in_ink_that_can_be_seen(study, ax, draw):
    assert draw(study, ax) is ax
    assert ax.get_xlabel()
    ax.figure.savefig("/dev/null", format="svg")
    inks = {line.get_color() for line in ax.lines} | {text.get_color() for text in ax.texts}
    assert not any(str(ink).startswith("#01010") for ink in inks)


def test_a_cdf_is_that_of_the_requests(study, ax):
    study.plot.cdf("sojourn_s", ax=ax)
    rows = study.requests()
    took_s = rows[(rows.policy == "random") & rows.counts & (rows.outcome == "answered")].eval("ended_s - arrived_s")
    line = next(
        line for line, label in zip(ax.get_legend().legend_handles, labels(ax), strict=True) if "random" in label
    )
    drawn = next(each for each in ax.lines if each.get_color() == line.get_color())
    middle = np.interp(0.5, drawn.get_ydata(), drawn.get_xdata())
    assert middle == pytest.approx(took_s.median(), rel=0.03)


def test_what_is_too_short_to_be_known_is_drawn_as_such(study, ax):
    short = replace(study, records={policy: runs[:1] for policy, runs in study.records.items()}, curves={})
    assert short.metric("random", "sojourn_p99_s").is_refused
    short.plot.cdf("sojourn_s", ax=ax)
    assert "random (dotted: too short)" in labels(ax)
    ranked = short.plot.ranking("sojourn_p99_s", ax=Figure().add_subplot())
    assert not any(np.isfinite(x) for line in ranked.lines for x in line.get_xdata())
    sweep = Sweep({1.0: short, 2.0: short})
    assert "too short" in words(sweep.plot.heat("sojourn_p99_s", ax=Figure().add_subplot()))
    curve = sweep.plot.curve("sojourn_p99_s", x="hosts", ax=Figure().add_subplot())
    assert any("(hollow: too short)" in label for label in labels(curve))
    assert curve.get_xlabel() == "hosts"


def test_who_cannot_keep_up_is_named_and_not_drawn(study, ax):
    assert not study.keeps_up("always_first")
    for draw in (ALL["cdf"], ALL["queue"]):
        found = draw(study, Figure().add_subplot())
        assert labels(found)[-1] == "cannot keep up, so not drawn: always_first"
        assert len(labels(found)) == 3
    assert any(
        re.fullmatch(r"always_first \(cannot keep up from 0.\d+ on\)", each) for each in labels(ALL["curve"](study, ax))
    )
    ranked = study.plot.ranking(ax=Figure().add_subplot())
    others = [study.metric(policy, "sojourn_mean_s").high for policy in ("random", "least_in_flight")]
    assert ranked.get_xlim()[1] < 2 * max(others), "it flattens the others"
    assert "cannot keep up" in words(ranked)
    alone = replace(study, records={"always_first": study.records["always_first"]})
    assert labels(alone.plot.queue(ax=Figure().add_subplot())) == ["always_first"], "if nobody keeps up all are drawn"


def test_a_curve_of_a_sweep_is_by_what_is_named_and_by_the_rest_of_the_key(ax):
    found = {
        (hosts, f"{workers} workers"): run_study(
            closed(workers, 0.0, 1.0, endpoint(f"http://{{1..{hosts}}}/"), replications=2), ["fifo"]
        )
        for hosts in (2, 4)
        for workers in (1, 8)
    }
    Sweep(found).plot.curve("throughput_per_s", x="endpoints", ax=ax)
    assert labels(ax) == ["1 workers", "8 workers"]
    assert {line.get_color(): list(line.get_ydata()) for line in ax.lines if len(line.get_xdata())} != {}
    assert [list(line.get_xdata()) for line in ax.lines] == [[2.0, 4.0]] * 2


@pytest.mark.parametrize(
    ("plot", "line"),
    [
        (
            lambda study: replace(study, curves={}).plot.curve("wait_mean_s"),
            "nothing differs here; give the scenario `loads`",
        ),
        (lambda study: study.plot.heat("wait"), "unknown figure 'wait'"),
        (
            lambda study: Sweep({"a": study}).plot.curve("wait_mean_s"),
            "the key 'a' is no number; give x= one of endpoints",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(study, plot, line):
    with pytest.raises(ConfigError, match=re.escape(line)):
        plot(study)
