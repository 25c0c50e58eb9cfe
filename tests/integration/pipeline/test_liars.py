"""Servers that lie, through the whole pipeline: they are found out, and the verdicts are those of a quiet run."""

from random import Random

import pytest

from balancer.errors import EndpointError
from balancer.pipeline.report.headline import troubles
from balancer.pipeline.results.store import Store
from balancer.sandbox.probes import known_answer, pings_of
from tests.integration.pipeline.liars import (
    ACCEPTED,
    KINDS,
    WRONG,
    Honest,
    Liar,
    judged_by,
    make_packages,
)
from tests.integration.pipeline.place import known_in

pytestmark = pytest.mark.xdist_group("liars")  # what they are compared with is found out once
_PROBLEMS = 4


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Return the folder of the problems."""
    return make_packages(tmp_path_factory.mktemp("packages"), _PROBLEMS)


@pytest.fixture(scope="module")
def quiet(packages, tmp_path_factory):
    """Return what honest servers come to, if nothing is made again."""
    off = "share = 0.0\nfirst = 0"
    found = judged_by([Honest() for _ in range(3)], packages, tmp_path_factory.mktemp("quiet") / "results", verify=off)
    assert found.result.complete
    assert found.result.verified.again == 0
    assert len(found.stored["verdicts"]) > 100
    return found


def test_honest_servers_come_to_the_same_and_nobody_is_outvoted(packages, quiet, tmp_path):
    found = judged_by([Honest() for _ in range(3)], packages, tmp_path / "results")
    assert found.stored == quiet.stored
    assert not found.result.verified.liars
    assert found.result.verified.differed == found.result.verified.unsettled == 0
    assert found.result.verified.again >= 15, "the first ten runs of each, where one look counts for two"
    assert found.result.summary()["verified"]["share"] == found.result.verified.share > 0


@pytest.mark.sampled(1)
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_one_among_three_is_found_out_and_changes_no_verdict(kind, seed, packages, quiet, tmp_path):
    servers = [Honest(), KINDS[kind](Random(seed)), Honest()]
    found = judged_by(servers, packages, tmp_path / "results")
    assert found.result.complete
    assert [liar.endpoint for liar in found.result.verified.liars] == ["fake://1/"]
    assert found.stored == quiet.stored
    first = next(troubles(found.result))
    assert first.startswith("fake://1/ gave wrong results and was taken out of service: ")
    assert "fake://1/ gives wrong results and is taken out of service: " in found.said
    summary = found.result.summary()["verified"]
    assert summary["liars"][0]["endpoint"] == "fake://1/"


def test_a_liar_among_two_is_found_out_by_what_is_known(packages, quiet, tmp_path):
    found = judged_by([Liar(Random(1)), Honest()], packages, tmp_path / "results")
    assert [liar.endpoint for liar in found.result.verified.liars] == ["fake://0/"]
    assert found.stored == quiet.stored


def test_a_run_that_dies_before_it_judged_again_leaves_nothing_that_a_liar_said(packages, quiet, tmp_path):
    results = tmp_path / "results"
    off = "share = 0.0\nfirst = 0"
    lied = judged_by([Liar(Random(1)), Honest(), Honest()], packages, results, verify=off)
    assert lied.stored["verdicts"] != quiet.stored["verdicts"]
    with Store(results) as store:  # it is found out, and the process dies at once
        assert store.trust.eject("fake://0/", "it lied") == _PROBLEMS
    with Store(results) as store:
        assert store.trust.withdrawn() == set()
    gone = known_in(results)
    assert not any(gone.values()), "nothing that is withdrawn outlives the process"
    again = judged_by([Honest() for _ in range(3)], packages, results)
    assert again.stored == quiet.stored
    assert again.result.verified.liars[0].endpoint == "fake://0/", "a later session still says so"


def test_programs_that_throw_dice_get_nobody_ejected(tmp_path):
    dice = ("dice 2", "dice 3", "dice 1000000")
    packages = make_packages(tmp_path / "packages", _PROBLEMS, accepted=(*ACCEPTED, dice[0]), wrong=(*WRONG, *dice))
    found = judged_by([Honest() for _ in range(3)], packages, tmp_path / "results", verify="share = 1.0")
    assert found.result.complete
    assert found.result.verified.differed > 0
    assert found.result.verified.unsettled > 0
    assert not found.result.verified.liars


def test_a_ping_asks_for_what_is_not_to_be_known_beforehand():
    honest, liar = Honest(), Liar(Random(1))
    pings = pings_of({"honest": honest, "liar": liar}, "program")
    for _ in range(3):
        pings["honest"]()
        with pytest.raises(EndpointError, match="a program that prints"):
            pings["liar"]()
    known = [known_answer(honest) for _ in range(2)]
    assert known[0] != known[1]
