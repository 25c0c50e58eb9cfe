"""For tests of packages: a small one, made by hand."""

from collections.abc import Mapping
from pathlib import Path

from balancer.pipeline.packages.read import read_problem
from balancer.problem import Problem

__all__ = ["GONE", "SMALL", "Files", "read", "write"]

Files = Mapping[str, str | bytes]

SMALL: Files = {
    "problem.yaml": "name: Sum\n",
    "data/sample/1.in": "1 2\n",
    "data/sample/1.ans": "3\n",
    "submissions/accepted/sum.py": "print(sum(map(int, input().split())))\n",
    "input_validators/check.py": "import sys; sys.exit(42)\n",
}
GONE = "(gone)"  # marks a file of SMALL that the package does not have


def write(root: Path, files: Files) -> Path:
    """Write a small package to `root`, with more or other files."""
    for path, content in {**SMALL, **files}.items():
        if content != GONE:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def read(folder: Path, files: Files) -> Problem:
    """Write a small package in `folder`, with more or other files, and read it."""
    return read_problem(write(folder / "sum", files))
