"""What servers that lie cost, and whether they change a verdict: one among three, over the whole pipeline.

    python -m tests.benchmarks.bench_liars [--short] [--share X ...] [--alone] [--seeds N]

Servers are in memory, and so are programs; all else is as in any run: packages, threads, leases, SQLite. The three
liars are those of `tests.integration.pipeline.liars`: one that always gives another program's output, one that does so
one time in ten, and one that after a while gives each request the answer to the one before. "differ" counts the
rows of verdicts and of cases that differ from those of a quiet run, in which nothing is made again. With --alone each
problem has one accepted submission, so nothing contradicts what is said of it.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.integration.pipeline.liars import ACCEPTED, KINDS, Found, Honest, judged_by, make_packages

__all__ = ["main"]

PROBLEMS, SEEDS, INPUTS = 8, 5, 12
SHORT = 3  # problems; a short run has one seed
_OFF = "share = 0.0\nfirst = 0\nsurprises = false"


@dataclass(slots=True)
class _Row:
    """Several runs of one kind together."""

    runs: int = 0
    again: int = 0
    times: int = 0
    found: int = 0
    equal: int = 0
    differ: int = 0
    judged_again: int = 0

    def add(self, found: Found, quiet: Found) -> None:
        """Add one run."""
        verified = found.result.verified
        self.runs += verified.runs
        self.again += verified.again
        self.times += 1
        self.found += bool(verified.liars)
        self.judged_again += sum(liar.problems for liar in verified.liars)
        differ = sum(len(set(found.stored[each]) ^ set(quiet.stored[each])) for each in ("verdicts", "cases"))
        self.differ += differ
        self.equal += not differ

    def line(self, name: str) -> str:
        """Return it as a line of a table."""
        again = self.judged_again / self.times
        return (
            f"| {name} | {self.runs // self.times} | {self.again / self.runs:.1%} | found {self.found}/{self.times}, "
            f"equal {self.equal}/{self.times}, differ {self.differ}, judged again {again:.1f} |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--share", type=float, nargs="*", default=[0.01])
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--seeds", type=int)
    options = parser.parse_args()
    problems, seeds = (SHORT, 1) if options.short else (PROBLEMS, SEEDS)
    seeds = options.seeds or seeds
    with tempfile.TemporaryDirectory(prefix="balancer-liars-") as name:
        folder = Path(name)
        packages = make_packages(folder / "packages", problems, accepted=ACCEPTED[:1] if options.alone else ACCEPTED)

        def judge(where: str, servers: list[Honest], verify: str) -> Found:
            return judged_by(servers, packages, folder / where, verify=verify, max_inputs=INPUTS)

        quiet = judge("quiet", [Honest() for _ in range(3)], _OFF)
        print(f"quiet: {quiet.result.verified.runs} runs, {len(quiet.stored['verdicts'])} verdicts, nothing made again")
        print("| one of three | runs | made again | what came of it |\n|---|---|---|---|")
        for number, share in enumerate(options.share):
            for kind in ("honest", *KINDS):
                row = _Row()
                for seed in range(seeds):
                    second = Honest() if kind == "honest" else KINDS[kind](Random(seed))
                    where = f"{kind}-{number}-{seed}"
                    row.add(judge(where, [Honest(), second, Honest()], f"share = {share}"), quiet)
                print(row.line(f"{kind}, share {share:g}"), flush=True)
            row = _Row()
            for seed in range(seeds):
                bad = [kind(Random(seed)) for kind in KINDS.values()]
                row.add(judge(f"all-{number}-{seed}", [*bad, *(Honest() for _ in bad)], f"share = {share}"), quiet)
            print(row.line(f"all three beside three honest ones, share {share:g}"), flush=True)


if __name__ == "__main__":
    main()
