"""The architecture page shows the tree that there is: every room, and the rule of who may import whom."""

import re
import tomllib

from tests.contracts.documents import ROOT, blocks

_PAGE = ROOT / "docs" / "architecture.md"
_DRAWINGS = [block.code for block in blocks(_PAGE) if block.language == "text"]


def _said(line):
    """Return the names at the beginning of a line of the drawing of the rooms."""
    return [word.rstrip("/") for word in line.split("  ")[0 if not line.startswith(" ") else 1].split()]


def test_the_layers_are_those_that_are_checked():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each for each in settings["tool"]["importlinter"]["contracts"] if each["name"] == "Rooms: who may import whom"
    )
    assert "\n".join(contract["layers"]) in _DRAWINGS


def test_every_room_and_every_noun_is_named():
    (rooms,) = (drawing for drawing in _DRAWINGS if drawing.startswith("balancer/\n"))
    lines = [line for line in rooms.splitlines() if not line.startswith("   ")]
    inside = sorted(name for line in lines if line.startswith(" ") for name in _said(line))
    there = (path for path in (ROOT / "balancer").iterdir() if path.suffix in ("", ".py"))
    assert inside == sorted(path.name for path in there if path.name not in ("__init__.py", "__pycache__"))
    outside = [name for line in lines if not line.startswith(" ") for name in _said(line)]
    assert outside == ["balancer", "strategies", "simulator", "notebooks", "examples", "tests"]
    assert [name for name in outside if not (ROOT / name).is_dir()] == []


def test_every_wing_of_a_room_that_the_page_names_is_there():
    """Below a room stand its own: `word: what it is for`; words that name files or folders of it."""
    (rooms,) = (drawing for drawing in _DRAWINGS if drawing.startswith("balancer/\n"))
    room, missing = "", []
    for line in rooms.splitlines():
        if line.startswith("   "):
            for named in (part.split(":")[0] for part in line.strip().split("; ") if ":" in part):
                for word in named.split(", "):
                    homes = [ROOT / "balancer" / room, ROOT / "simulator" / "balancer_simulator"]
                    if not any((home / word).is_dir() or (home / f"{word}.py").is_file() for home in homes):
                        missing.append(f"{room}: {word}")
        else:
            room = _said(line)[0]
    assert missing == []


def test_contributing_names_files_that_are_there_but_for_those_to_be_made():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"(new )?`((?:balancer|docs|tests|simulator|strategies)/[\w/.]*)`", text)
    assert len(named) > 40
    assert [path for new, path in named if not new and not (ROOT / path).exists()] == []


def test_every_page_of_decisions_is_listed_by_its_title():
    decisions = ROOT / "docs" / "decisions"
    listed = (decisions / "README.md").read_text(encoding="utf-8")
    for file in sorted(decisions.glob("[!R]*.md")):
        (title,) = re.findall(r"^# (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert f"- [{title}]({file.name})" in listed, f"docs/decisions/README.md: list {file.name} with its title"
