"""`balancer run` over real servers, while servers and the command itself are killed: the verdicts stay the same."""

import os
import signal
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

import pytest

from balancer.observing.traces import read_trace
from tests.integration.pipeline.place import alive, children_of, make_place, until
from tests.patience import PATIENCE_S
from tests.servers import running_server

pytestmark = pytest.mark.xdist_group("disturbed_runs")  # what it is compared with is found out once
End = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def servers():
    """Two servers that nobody kills."""
    with running_server(workers=1) as one, running_server(workers=1) as other:
        yield [one.url, other.url]


@pytest.fixture(scope="module")
def undisturbed(servers, tmp_path_factory):
    """How a run ends that is left alone, and how many leases it takes."""
    with make_place(tmp_path_factory.mktemp("undisturbed")) as place:
        place.write(servers)
        place.run()
        assert place.left_behind() == []
    end = place.end()
    states = {row[-1] for row in end["cases"]}
    assert "ready" in states
    assert states <= {"ready", "replaced", "invalid", "spare"}
    assert {row[-1] for row in end["verdicts"]} >= {"accepted", "wrong_answer"}
    summary = place.summary()
    assert (summary["unjudged"], summary["complete"], summary["sessions"]) == (0, True, 1)
    assert summary["bound_s"] <= summary["makespan_s"]
    assert 0 < summary["utilisation"] <= 1
    assert place.leases() == summary["pool"]["acquired"]
    return end, place.leases()


@pytest.fixture
def place(tmp_path):
    with make_place(tmp_path) as place:
        yield place


@pytest.mark.more
def test_a_server_is_killed_amid_its_work(place, servers, undisturbed):
    with running_server(workers=1) as doomed:
        place.write([*servers, doomed.url])
        with place.running() as process:
            until(lambda: place.leases() >= 20, process)
            os.kill(doomed.pid, signal.SIGKILL)
            _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert place.end() == undisturbed[0]
    summary = place.summary()
    assert summary["unjudged"] == 0
    failures = {endpoint["url"]: endpoint["failures"] for endpoint in summary["pool"]["endpoints"]}
    assert failures.pop(doomed.url) > 0
    assert set(failures.values()) == {0}


@pytest.mark.more
def test_the_command_is_killed_three_times(place, servers, undisturbed):
    end, leases = undisturbed
    place.write(servers)
    for after in sorted(Random(20260101).sample(range(5, leases - 15), 3)):
        place.kill_when(partial(place.has_leases, after))
    place.run()
    assert place.end() == end
    summary = place.summary()
    assert (summary["complete"], summary["sessions"], summary["unjudged"]) == (True, 4, 0)
    # Two were under way each time; what ends late on a busy machine is looked at again.
    assert place.leases() <= leases + 3 * 4, "only what was under way is run again"
    trace = read_trace(place.folder / "results/run.sqlite")
    assert (len(trace.runs), len(trace.ended), trace.lost) == (4, 1, 0)
    (last,) = trace.ended
    mine = [each for each in trace.attempts if each.run == last]
    assert len(mine) == summary["pool"]["acquired"]
    assert {each.endpoint for each in mine} == set(servers)
    assert all(each.server_s and each.server_s <= each.held_s for each in mine if each.outcome == "success")


@pytest.mark.more
@pytest.mark.parametrize("signals", [1, pytest.param(2, marks=pytest.mark.more)])
def test_ctrl_c_leaves_nothing_behind(place, undisturbed, signals):
    """One stops cleanly, two at once; both go to the whole process group, as from a terminal."""
    place.write(["local://1", "local://2"])
    seen: set[tuple[int, int]] = set()
    with place.running() as process:
        assert process.stderr is not None

        def look() -> bool:
            seen.update(children_of(process.pid))
            return place.leases() >= 10 and len(seen) > 3

        until(look, process)
        if signals == 2:  # what runs takes longer than any machine takes for the second one
            for child, _ in children_of(process.pid):
                with suppress(OSError):
                    os.kill(child, signal.SIGSTOP)
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.readline()
        if signals == 2:
            os.killpg(process.pid, signal.SIGINT)
        seen.update(children_of(process.pid))
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert said == "stopping after the programs that run now; repeat to stop at once\n"
    if signals == 1:
        assert process.returncode == 130
        assert "Not complete" in out
        assert place.summary()["complete"] is False
        assert place.left_behind() == []
    else:
        assert process.returncode == -signal.SIGINT
    until(lambda: not any(alive(child) for child in seen))

    place.run()
    assert place.end() == undisturbed[0]
    assert place.summary()["complete"] is True


@pytest.mark.more
def test_two_commands_do_not_share_a_folder(place, servers):
    place.write(servers)
    with place.running() as first:
        until(lambda: place.leases() >= 1, first)
        first.send_signal(signal.SIGSTOP)  # so that it does not end before the others begin
        for args in ((), ("--fresh",)):
            with place.running(*args) as second:
                out, err = second.communicate(timeout=PATIENCE_S)
            assert (second.returncode, out) == (2, "")
            assert err == ("balancer: results: another run is writing here; wait for it or choose other --results\n")
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        first.send_signal(signal.SIGCONT)
        first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 143
