"""Packs the example of `balancer init --example`: this folder, and problems, rows and answers beside it.

    python examples/start/build.py

Only programs in Python are taken, so that the example needs no compiler.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent
PACKED = EXAMPLES.parent / "balancer" / "commands" / "example.zip"
PROBLEMS = ("longest-run", "undo-log")
ROWS = ("longest-run", "prime-check", "rope-cutting", "undo-log")
PYTHON = 3  # in a row


def files() -> dict[str, str]:
    """Return the files of the example: path -> text."""
    found = {path.name: path for path in HERE.iterdir() if path.suffix in (".md", ".toml")}
    for name in PROBLEMS:
        found |= {f"problems/{name}/{place}": path for place, path in package(name)}
    texts = {name: path.read_text(encoding="utf-8") for name, path in found.items()}
    rows = map(json.loads, (EXAMPLES / "rows" / "rows.jsonl").read_text(encoding="utf-8").splitlines())
    chosen = [in_python(row) for row in rows if row["name"] in ROWS]
    texts["rows.jsonl"] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen)
    for name in ROWS:
        texts |= {f"model/{name}/{file}": text for file, text in answers(EXAMPLES / "rows" / "model" / name)}
    return dict(sorted(texts.items()))


def package(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a problem package but what needs a compiler, and further right programs."""
    source = EXAMPLES / "problems" / name
    for path in source.rglob("*"):
        if path.is_file() and path.suffix not in (".cpp", ".java", ".pyc"):
            yield path.relative_to(source).as_posix(), path
    for path in (EXAMPLES / "rows" / "more" / name / "right").glob("*.py"):
        yield f"submissions/accepted/{path.name}", path


def in_python(row: dict[str, object]) -> dict[str, object]:
    """Return a row with its programs in Python only."""
    for key in ("solutions", "incorrect_solutions"):
        pairs = [pair for pair in zip(*row[key].values(), strict=True) if pair[0] == PYTHON]  # type: ignore[attr-defined]
        row[key] = {"language": [language for language, _ in pairs], "solution": [text for _, text in pairs]}
    return row


def answers(source: Path) -> Iterator[tuple[str, str]]:
    """Yield the answers of the scripted model for one row, with the programs that they name beside them."""
    script = (source / "rounds.toml").read_text(encoding="utf-8")
    for kind, path in re.findall(r'^(generator|validator|checker) = "(.+)"$', script, flags=re.MULTILINE):
        yield f"{kind}.py", (source / path).read_text(encoding="utf-8")
        script = script.replace(f'"{path}"', f'"{kind}.py"')
    yield "rounds.toml", script


def main() -> None:
    """Write the archive. The same files give the same bytes."""
    with ZipFile(PACKED, "w", ZIP_DEFLATED) as archive:
        for name, text in files().items():
            archive.writestr(ZipInfo(name), text, ZIP_DEFLATED)


if __name__ == "__main__":
    main()
