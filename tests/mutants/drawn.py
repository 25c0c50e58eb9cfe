"""Draw small changes of some rooms at random, and say what share of them the tests find.

    python -m tests.mutants.drawn [NUMBER] [--seed N] [--rooms ROOM ...] [--only FILE#N ...] [--found]

Draws NUMBER of them (500), the same ones of the same tree and seed. Prints those that live, and the share by room.
Needs Python 3.12. What it learns about the tests is kept in `mutants/`.
"""

import argparse
import ast
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest

from tests.mutants.changes import changes
from tests.mutants.mutant import ROOT
from tests.mutants.trying import ROOMS, Drawn, Tried, Trying, modules

NUMBER, SEED = 500, 11
# What is left out of the folders says nothing of the rooms, and takes long: generators and reports.
_UNIT = sorted(
    str(file.relative_to(ROOT))
    for folder in (".", "pipeline", "judge", "proxy", "sandbox")
    for file in (ROOT / "tests/unit" / folder).glob("test_*.py")
    if not file.name.startswith(("test_generators_", "test_report_"))
)
_TESTS = (
    *_UNIT,
    "tests/unit/transports",
    *(f"tests/{kind}" for kind in ("properties", "equivalence", "threads", "tasks", "cluster")),
    "tests/integration/sandbox/test_local_programs.py",  # what the sandbox does shows only in real programs
)
_LEFT_OUT = "tests/threads/test_interleavings.py"  # it runs a command, which knows no change


def _all(rooms: Iterable[str]) -> list[Drawn]:
    found = ((file, ast.parse(file.read_text(encoding="utf-8"))) for file in modules(rooms))
    return [
        Drawn(str(file.relative_to(ROOT)), number) for file, tree in found for number, _ in enumerate(changes(tree))
    ]


def _said(change: Drawn) -> str:
    made = list(changes(ast.parse((ROOT / change.file).read_text(encoding="utf-8"))))[change.number]
    return f"{change.file}:{made.lines[0].start} #{change.number}: {made.words}"


def main() -> int:
    """Draw them, try them, and print what lives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.drawn", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=NUMBER)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS, metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--only", nargs="+", metavar="FILE#N", help="these, instead of drawn ones")
    parser.add_argument("--found", action="store_true", help="print what finds each of the others, too")
    asked = parser.parse_args()
    every = _all(ROOMS if asked.only else asked.rooms)
    chosen = Random(asked.seed).sample(every, min(asked.number, len(every)))
    if asked.only:
        named = {f"{one.file}#{one.number}": one for one in every}
        chosen = [named[name] for name in asked.only]
    drawn: Counter[str] = Counter()
    found: Counter[str] = Counter()
    by_time = 0

    def tell(change: Drawn, tried: Tried) -> None:
        nonlocal by_time
        room = next(room for room in ROOMS if change.file.startswith(f"balancer/{room}/"))
        drawn[room] += 1
        found[room] += tried.found
        by_time += tried.by.startswith("its")
        if not tried.found or asked.found:
            print(f"{'found' if tried.found else 'LIVES'}  {_said(change)}  ({tried.by})", flush=True)

    options = ["-s", f"--rootdir={ROOT}", f"--ignore={_LEFT_OUT}"]
    with tempfile.TemporaryDirectory(prefix="balancer-mutants-") as folder:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        code = pytest.main([*options, *_TESTS], plugins=[Trying(chosen, tell)])
    for room in (*sorted(drawn), "together"):
        those, of = (found[room], drawn[room]) if room in drawn else (found.total(), drawn.total())
        print(f"{room:14} {those:4} of {of:4} found, {those / of:.1%}")
    print(f"{by_time} of them, as a process died or a test took too long")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
