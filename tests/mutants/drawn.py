"""Names of small changes of the core that mutmut has made, drawn at random: to try them all takes hours.

    python -m tests.mutants.drawn [NUMBER] [--seed N]

Prints NUMBER of them (500), one a line, the same ones of the same tree; 0: none, which
`mutmut run` takes for all.
"""

import argparse
import json
from pathlib import Path
from random import Random

NUMBER, SEED = 500, 11


def names(made: Path) -> list[str]:
    """Return the names of all changes that mutmut has written below a folder."""
    found = [json.loads(file.read_text())["exit_code_by_key"] for file in sorted(made.rglob("*.meta"))]
    return [name for changes in found for name in changes]


def main() -> None:
    """Draw them and print them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("number", type=int, nargs="?", default=NUMBER)
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    every = names(Path("mutants/balancer/core"))
    Random(asked.seed).shuffle(every)
    print("\n".join(sorted(every[: asked.number])))


if __name__ == "__main__":
    main()
