"""Make each mistake of this folder in a copy of the tree, one at a time, and see whether its test finds it.

    python -m tests.mutants [--short] [NAME ...]

A mistake is found if its test fails; the tests must pass without any. Ends with 1 unless all are found.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant, mutants
from tests.patience import stretched

_PARTS = ("balancer", "strategies", "simulator", "tests", "examples", "pyproject.toml")
# Of a test that takes seconds: a mistake may let it wait for ever.
_LONGEST_S = 120.0
_PASSED, _FAILED = 0, 1  # of pytest


def _copy(into: Path) -> None:
    for part in _PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, into / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, into / part)


def _test(tree: Path, tests: Iterable[str], expected: tuple[int, ...]) -> int:
    """Run these tests on the copy, and return what pytest returns; print what it says if that is not expected."""
    paths = os.pathsep.join(str(tree / part) for part in ("", "strategies", "simulator"))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    options = ("-x", "-q", "-n", "0", "-m", "", f"--timeout={stretched(_LONGEST_S):.0f}")
    command = [sys.executable, "-m", "pytest", *options, *tests]
    ran = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode not in expected:
        print(ran.stdout[-2000:], ran.stderr[-2000:], sep="\n")
    return ran.returncode


def _try(tree: Path, mutant: Mutant) -> bool:
    source = tree / mutant.file
    before = source.read_text(encoding="utf-8")
    source.write_text(mutant.applied(before), encoding="utf-8")
    try:
        began_s = time.monotonic()
        code = _test(tree, [mutant.test], (_PASSED, _FAILED))
        word = {_PASSED: "SURVIVES", _FAILED: "found"}.get(code, f"pytest ended with {code}")
        print(f"{word:8} {time.monotonic() - began_s:6.1f} s  {mutant.name}: {mutant.why}", flush=True)
        return code == _FAILED
    finally:
        source.write_text(before, encoding="utf-8")


def main() -> int:
    """Try all, or those that are asked for; return 1 unless all are found."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of files in tests/mutants, without .toml; none: all")
    parser.add_argument("--short", action="store_true", help="only those that are marked short = true")
    asked = parser.parse_args()
    known = {mutant.name: mutant for mutant in mutants()}
    if strangers := [name for name in asked.names if name not in known]:
        parser.error(f"no mutant {strangers[0]!r}; there are {', '.join(known)}")
    chosen = [known[name] for name in asked.names] or [one for one in known.values() if one.short or not asked.short]
    with tempfile.TemporaryDirectory(prefix="balancer-mutants-") as folder:
        tree = Path(folder)
        _copy(tree)
        tests = sorted({mutant.test for mutant in chosen})
        if _test(tree, tests, (_PASSED,)) != _PASSED:
            print("the tests fail without any mistake; see to that first")
            return 1
        found = sum([_try(tree, mutant) for mutant in chosen])
    print(f"{found} of {len(chosen)} mutants found")
    return 0 if found == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
