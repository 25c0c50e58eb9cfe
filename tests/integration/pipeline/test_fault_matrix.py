"""Every fault of the fault server, before real servers: a run has its own output or an error, and no verdict changes.

Each fault on one kind of server, and three on all.
"""

import pytest

from tests.faults.proxy import FAULTS
from tests.integration.pipeline.fault_matrix import KINDS, Matrix, impatient

pytestmark = pytest.mark.xdist_group("faults")  # what it is compared with is found out once
LIES = {"swapped"}  # the answer is right in its form: nothing but a second run elsewhere can tell
ITS_OWN = {"late", "drip", "then-hang", "huge", "twice", "short-length"}  # a client may well get what is its own
THREE = ("reset-amid", "wrong-types", "429-date")  # the last makes it rest


@pytest.fixture(autouse=True, scope="module")
def _impatient():
    with impatient():
        yield


@pytest.fixture(scope="module")
def quick():
    kind = KINDS["go-judge"]
    with kind.serve() as url:
        yield Matrix(kind, url)


@pytest.fixture(scope="module")
def quiet(quick, tmp_path_factory):
    ran = quick.pipeline(tmp_path_factory.mktemp("quiet") / "run")
    assert (ran.unjudged, ran.complete, ran.faults) == (0, True, 0)
    found = [ran.verdicts["verdict", "wrong_answer/wrong.py", case] for case in range(1, 8)]
    assert (found.count("accepted"), found.count("wrong_answer")) == (5, 2)
    return ran


@pytest.mark.sampled(4)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_has_its_own_output_or_an_error(quick, fault):
    again = 2 if fault in ("refused", "then-hang", "short-length") else 1
    for met in quick.runs(fault, again):
        if fault in LIES:
            assert (met.words, met.outcome) == ("the output of another", "success"), "the docs say that it is believed"
        elif met.outcome == "success":
            assert met.words == "its own output"
            assert fault in ITS_OWN
        elif fault.startswith("429") or fault == "503":
            assert met.outcome == "overload"
        else:
            assert met.outcome == "failure"


@pytest.mark.more
@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", KINDS)
def test_three_faults_change_no_verdict(name, quiet, tmp_path):
    kind = KINDS[name]
    with kind.serve() as url:
        matrix = Matrix(kind, url)
        ran = matrix.pipeline(tmp_path / "run", *THREE)
        assert ran.faults >= 2, "the endpoint was used, and failed"
        assert ran.verdicts == quiet.verdicts
        assert (ran.unjudged, ran.complete) == (0, True)
        assert ran.ends["failure"] + ran.ends["overload"] >= 1


@pytest.mark.more
def test_swapped_answers_are_found_out_by_verify(quick, quiet, tmp_path):
    ran = quick.pipeline(tmp_path / "run", "swapped", verified=True)
    assert ran.faults >= 1
    assert ran.verdicts == quiet.verdicts
    assert (ran.unjudged, ran.complete) == (0, True)
