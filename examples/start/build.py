"""Makes the example that `balancer init --example` writes, of the problems, rows and answers in the folders beside it.

    python examples/start/build.py

Only programs in Python are taken, so that the example needs no compiler.
"""

import json
import re
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent
PROBLEMS = ("longest-run", "undo-log")
ROWS = ("longest-run", "meeting-room", "prime-check", "undo-log")
PYTHON = 3  # in a row


def main(to: Path = HERE / "files") -> None:
    """Write all but the configs, the scenario and the page of words, which are written by hand."""
    for name in PROBLEMS:
        package(EXAMPLES / "problems" / name, to / "problems" / name)
    rows = map(json.loads, (EXAMPLES / "rows" / "rows.jsonl").read_text(encoding="utf-8").splitlines())
    text = "".join(json.dumps(in_python(row), ensure_ascii=False) + "\n" for row in rows if row["name"] in ROWS)
    (to / "rows.jsonl").write_text(text, encoding="utf-8")
    for name in ROWS:
        answers(EXAMPLES / "rows" / "model" / name, to / "model" / name)


def package(source: Path, to: Path) -> None:
    """Copy a problem package without what needs a compiler, and with further right programs."""
    shutil.copytree(source, to, ignore=shutil.ignore_patterns("*.cpp", "*.java", "__pycache__"), dirs_exist_ok=True)
    for program in sorted((EXAMPLES / "rows" / "more" / source.name / "right").glob("*.py")):
        shutil.copy(program, to / "submissions" / "accepted")


def in_python(row: dict[str, object]) -> dict[str, object]:
    """Return a row with its programs in Python only."""
    for key in ("solutions", "incorrect_solutions"):
        pairs = [pair for pair in zip(*row[key].values(), strict=True) if pair[0] == PYTHON]  # type: ignore[attr-defined]
        row[key] = {"language": [language for language, _ in pairs], "solution": [text for _, text in pairs]}
    return row


def answers(source: Path, to: Path) -> None:
    """Copy the answers of the scripted model for one row, with the programs that they name beside them."""
    to.mkdir(parents=True, exist_ok=True)
    script = (source / "rounds.toml").read_text(encoding="utf-8")
    for kind, path in re.findall(r'^(generator|validator|checker) = "(.+)"$', script, flags=re.MULTILINE):
        shutil.copy(source / path, to / f"{kind}.py")
        script = script.replace(f'"{path}"', f'"{kind}.py"')
    (to / "rounds.toml").write_text(script, encoding="utf-8")


if __name__ == "__main__":
    main()
