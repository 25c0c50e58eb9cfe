"""What servers that lie cost, and whether they change a verdict: one among three, over the whole pipeline.

    python -m tests.benchmarks.bench_liars [--short] [--share X ...] [--alone] [--seeds N]

Servers are in memory, and so are programs; all else is as in any run: packages, threads, leases, SQLite. The three
liars are those of `tests.integration.pipeline.liars`: one that always gives another program's output, one that does so
one time in ten, and one that after a while gives each request the answer to the one before. "differ" counts the
rows of verdicts and of cases that differ from those of a quiet run, in which nothing is made again. With --alone each
problem has one accepted submission, so nothing contradicts what is said of it.
"""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random

from tests.benchmarks.harness import Row, options, stream
from tests.integration.pipeline.liars import ACCEPTED, KINDS, Found, Honest, judged_by, make_packages

PROBLEMS, SEEDS, INPUTS = 8, 5, 12
SHORT = 3  # problems; a short run has one seed
_OFF = "share = 0.0\nfirst = 0"


def _honest(rng: Random) -> Honest:
    return Honest()


def _together(name: str, several: Sequence[Found], quiet: Found) -> Row:
    """Return several runs of one kind as one row."""
    verified, times = [found.result.verified for found in several], len(several)
    differ = [
        sum(len(set(found.stored[each]) ^ set(quiet.stored[each])) for each in ("verdicts", "cases"))
        for found in several
    ]
    runs = sum(each.runs for each in verified)
    again = sum(liar.problems for each in verified for liar in each.liars) / times
    return (
        name,
        runs // times,
        f"{sum(each.again for each in verified) / runs:.1%}",
        f"found {sum(bool(each.liars) for each in verified)}/{times}, equal {differ.count(0)}/{times}, "
        f"differ {sum(differ)}, judged again {again:.1f}",
    )


def main() -> None:
    """Print the table."""
    asked = options(
        __doc__,
        f"{SHORT} problems, once",
        share=([0.01], "of all runs that are made again"),
        alone=(False, "one accepted submission for each problem"),
        seeds=(int, "how many runs of a kind"),
    )
    problems, seeds = (SHORT, 1) if asked.short else (PROBLEMS, SEEDS)
    with tempfile.TemporaryDirectory(prefix="balancer-liars-") as name:
        folder = Path(name)
        packages = make_packages(folder / "packages", problems, accepted=ACCEPTED[:1] if asked.alone else ACCEPTED)
        places = map(str, count())

        def judge(servers: list[Honest], verify: str) -> Found:
            return judged_by(servers, packages, folder / next(places), verify=verify, max_inputs=INPUTS)

        crews = {kind: [_honest, make, _honest] for kind, make in {"honest": _honest, **KINDS}.items()}
        crews["all three beside three honest ones"] = [*KINDS.values(), _honest, _honest, _honest]

        def rows() -> Iterator[Row]:
            for share in asked.share:
                for kind, makes in crews.items():
                    each = [[make(Random(seed)) for make in makes] for seed in range(asked.seeds or seeds)]
                    ran = [judge(servers, f"share = {share}") for servers in each]
                    yield _together(f"{kind}, share {share:g}", ran, quiet)

        quiet = judge([Honest() for _ in range(3)], _OFF)
        print(f"quiet: {quiet.result.verified.runs} runs, {len(quiet.stored['verdicts'])} verdicts, nothing made again")
        stream("one of three | runs | made again | what came of it", rows())


if __name__ == "__main__":
    main()
