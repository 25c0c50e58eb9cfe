"""The shares of a run, each judged in a folder of its own, and put together: as one run would have it."""

from pathlib import Path

import pytest

from balancer.errors import ConfigError
from balancer.pipeline.results.diff import difference
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.transfer import merge
from balancer.pipeline.rows.read import parse_shard
from tests.unit.cli_mistakes import GOOD
from tests.unit.command import balancer, package, registry
from tests.unit.pipeline.test_streamed_rows import Bench, bench, row

__all__ = ["balancer", "bench", "registry"]


def _shares(bench: Bench, of: int) -> list[Path]:
    for index in range(1, of + 1):
        assert bench.run(share=parse_shard(f"{index}/{of}"), results=f"share-{index}").complete
    return [bench.folder / f"share-{index}" for index in range(1, of + 1)]


def test_shares_of_rows_come_to_what_one_run_does(bench):
    bench.write(*(row(f"r{n}") for n in range(5)), "no row")
    shares = _shares(bench, 2)
    assert bench.run(results="whole").complete
    with merge(shares, bench.folder / "together") as merged, Store(bench.folder / "whole") as whole:
        assert difference(whole, merged).same
        assert len(merged.sessions()) == 2
        assert merged.fingerprint == whole.fingerprint
        assert list(merged.problems.met()) == list(whole.problems.met())
        assert merged.log.row("SELECT COUNT(DISTINCT session) FROM spans") == (2,)
        for kind in ("asked", "judged", "settled", "bad_row"):
            count = f"SELECT COUNT(*) FROM events WHERE kind = '{kind}'"
            assert merged.log.row(count) == whole.log.row(count), kind
    assert bench.run(results="together").complete
    assert bench.calls == 0, "all of it is judged"


def test_a_share_that_was_stopped_makes_the_whole_incomplete(bench):
    bench.write(*(row(f"r{n}") for n in range(2)))
    shares = _shares(bench, 2)
    with Store(shares[0]) as store:
        store.end_session(store.sessions()[-1].id, {}, complete=False)
    with merge(shares, bench.folder / "together") as merged:
        assert [session.complete for session in merged.sessions()] == [True, False]


@pytest.mark.more
def test_shares_of_packages_and_the_command(balancer):
    for name in ("one", "two", "three"):
        package(name)
    for index in (1, 2):
        said = balancer("run", "c.toml", "--shard", f"{index}/2", "--results", f"s{index}", config=GOOD)
        assert said.code == 0
    assert balancer("run", "c.toml", "--results", "whole").code == 0
    said = balancer("merge", "s1", "s2", "--results", "together")
    assert (said.code, said.err) == (0, "")
    assert "together/report.html" in said.out
    assert "nothing else differs" in balancer("diff", "whole", "together").out
    assert Path("together/summary.json").exists()
    again = balancer("merge", "s1", "s2", "--results", "together")
    assert (again.code, again.lines) == (
        2,
        ["balancer: together: already holds a run; name an empty folder with --results"],
    )


def test_what_is_no_share_of_one_run_is_refused(bench):
    bench.write(row("a"), row("b"))
    shares = _shares(bench, 2)
    together = bench.folder / "together"
    bench.run(results="other", right=5)
    bench.run(results="whole")
    for folders, why in (
        ([shares[0], bench.folder / "none"], "none: holds no results"),
        ([shares[0], shares[0]], "share-1: is named twice"),
        ([shares[0], bench.folder / "other"], "other: belongs to a run with other setting rows.right than .*share-1"),
        ([shares[0], bench.folder / "whole"], "whole: has 'a', like an earlier folder"),
    ):
        with pytest.raises(ConfigError, match=why):
            merge(folders, together)
    with merge(shares, bench.folder / "fine") as merged:
        assert len(list(merged.problems.met())) == 2
