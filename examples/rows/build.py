"""Packs eight example problems into `rows.jsonl`, a row each, with CodeContests' columns.

    python examples/rows/build.py

A row has the statement, the tests and the submissions of the package in `../problems`, and the programs in `more/`. As
in the data set itself there are a duplicate, a program that does not compile and one for Python 2.
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
LANGUAGES = {".py2": 1, ".cpp": 2, ".py": 3, ".java": 4}
NAMES = (
    "close-pairs",
    "exact-change",
    "longest-run",
    "meeting-room",
    "pair-sum",
    "prime-check",
    "rope-cutting",
    "undo-log",
)


def row(name: str) -> dict[str, object]:
    """Return the row of one problem."""
    package = HERE.parent / "problems" / name
    settings = (package / "problem.yaml").read_text()
    right = [*sorted((package / "submissions" / "accepted").iterdir()), *programs(name, "right")]
    wrong = [
        *(path for path in sorted((package / "submissions").glob("*/*")) if path.parent.name != "accepted"),
        *programs(name, "wrong"),
    ]
    return {
        "name": name,
        "description": (package / "problem_statement" / "problem.en.md").read_text(),
        "is_description_translated": False,
        "untranslated_description": "",
        "source": 0,
        "difficulty": 0,
        "public_tests": tests(package / "data" / "sample"),
        "private_tests": tests(package / "data" / "secret"),
        "generated_tests": {"input": [], "output": []},
        "solutions": solutions([*right, right[-1]]),  # the last one twice
        "incorrect_solutions": solutions(wrong, told=False),
        "time_limit": {"seconds": int(float(re.findall(r"time_limit: ([\d.]+)", settings)[0])), "nanos": 0},
        "memory_limit_bytes": int(re.findall(r"memory: (\d+)", settings)[0]) * 2**20,
        "input_file": "",
        "output_file": "",
    }


def programs(name: str, kind: str) -> list[Path]:
    """Return the further right or wrong programs of one problem."""
    return sorted((HERE / "more" / name / kind).iterdir())


def tests(folder: Path) -> dict[str, list[str]]:
    """Return the tests in one folder."""
    inputs = sorted(folder.glob("*.in"))
    return {
        "input": [path.read_text() for path in inputs],
        "output": [path.with_suffix(".ans").read_text() for path in inputs],
    }


def solutions(paths: list[Path], *, told: bool = True) -> dict[str, list[object]]:
    """Return programs as the data set has them: their languages beside their sources.

    Args:
        paths: their files.
        told: False leaves out the comment at the top that says what is wrong: a data set does not say.
    """
    return {
        "language": [LANGUAGES[path.suffix] for path in paths],
        "solution": [path.read_text() if told else uncommented(path.read_text()) for path in paths],
    }


def uncommented(source: str) -> str:
    """Return a program without the comment that it begins with."""
    return re.sub(r"\A((#(?!include)|//).*\n)+", "", source)


def main() -> None:
    """Write all rows."""
    text = "".join(json.dumps(row(name), ensure_ascii=False) + "\n" for name in NAMES)
    (HERE / "rows.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
