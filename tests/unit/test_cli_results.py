"""The commands that read what runs left behind, and a share of a data set's rows, as a person types them."""

import json
from pathlib import Path

from tests.unit.cli_mistakes import GOOD
from tests.unit.command import balancer, package, registry

__all__ = ["balancer", "registry"]

ROWS = '[[endpoints]]\nurl = "fake://1/"\n[pipeline]\nproblems = "rows.jsonl"\ngenerators = ["data"]\n'


def rows(count, **columns):
    """Write rows whose answer is always 2."""
    with Path("rows.jsonl").open("w") as file:
        for n in range(count):
            program = {"language": "python", "source": f"{n}"}
            row = {"id": f"r{n}", "tests": [{"input": "1", "output": "2"}], "right": [program], "wrong": [program]}
            file.write(json.dumps({**row, **columns}) + "\n")


def test_report_makes_all_again_without_an_endpoint(balancer):
    package()
    first = balancer("run", "c.toml", config=GOOD)
    page = Path("results/report.html").read_text()
    for path in ("results/report.html", "results/summary.json"):
        Path(path).unlink()
    Path("c.toml").unlink()
    again = balancer("report", "results")
    assert (again.code, again.err) == (0, "")
    assert again.out == first.out
    assert Path("results/report.html").read_text() == page
    assert json.loads(balancer("report", "results", "--json").out)["survivors"] == ["two/wrong_answer/two.py"]


def test_report_and_diff_name_what_is_no_results_folder(balancer):
    line = balancer("report", "nowhere").refusal
    assert line == "nowhere: holds no results; name the results folder of a run, with its run.sqlite"
    assert not Path("nowhere").exists()
    assert balancer("diff", "here", "there").code == 2
    assert json.loads(balancer("diff", "here", "there", "--json").out)["errors"]


def test_diff_of_two_runs(balancer):
    package()
    assert balancer("run", "c.toml", "--results", "a", config=GOOD).code == 0
    package("three")
    assert balancer("run", "c.toml", "--results", "b").code == 0
    said = balancer("diff", "a", "b")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "1 problems in both, 0 only before, 1 only after"
    found = json.loads(balancer("diff", "a", "b", "--json").out)
    assert (found["errors"], found["same"], found["only_after"]) == ([], False, ["three"])


def test_a_shard_is_a_share_of_the_rows(balancer):
    rows(5)
    said = balancer("run", "c.toml", "--shard", "2/2", config=ROWS)
    assert said.code == 0
    assert [json.loads(line)["id"] for line in Path("results/rows.jsonl").read_text().splitlines()] == ["r1", "r3"]


def test_a_shard_that_is_none_is_a_line(balancer):
    rows(1)
    for shard in ("0/2", "3/2", "half", "1"):
        line = balancer("run", "c.toml", "--shard", shard, config=ROWS).refusal
        assert f"--shard: '{shard}' is not a share; write i/n" in line
    assert not Path("results").exists()


def test_rows_that_are_gone_are_no_reason_not_to_report(balancer):
    rows(2)
    assert balancer("run", "c.toml", config=ROWS).code == 0
    Path("rows.jsonl").unlink()
    said = balancer("report", "results")
    assert said.code == 0
    assert "rows.jsonl is not written: rows.jsonl: no such file" in said.err


def test_check_reads_all_rows(balancer):
    rows(3)
    with Path("rows.jsonl").open("a") as file:
        file.write("no JSON")
    said = balancer("check", "c.toml", config=ROWS)
    assert (said.code, said.err) == (0, "")
    assert (
        "problems   3 of 4 rows of rows.jsonl, counted from 0: 3 accepted, 3 wrong submissions\n"
        "           row 3 is left" in said.out
    )
    assert "not used" not in said.out
    data = json.loads(balancer("check", "c.toml", "--json").out)["pipeline"]
    assert ([*data["found"]], [*data["packages_left_out"]]) == (["r0", "r1", "r2"], ["row 3"])
    rows(2, checker="int main() {}")
    said = balancer("check", "c.toml")
    assert "problems   2 rows of rows.jsonl: 2 accepted, 2 wrong submissions" in said.out
    assert "           columns are not used: checker (2 rows)\n" in said.out
    Path("rows.jsonl").unlink()
    line = balancer("check", "c.toml").refusal
    assert line == "rows.jsonl: no such file; name a .jsonl or .parquet file, or several as 'part-*.parquet'"
