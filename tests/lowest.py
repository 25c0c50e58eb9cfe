"""Lowest versions of the packages that balancer needs, as constraints for pip: `python tests/lowest.py`."""

import re
import tomllib
from pathlib import Path

_OWN_TOOLS = {"dev", "docs", "ray"}  # not tested at their lowest; Ray is in an environment of its own


def lowest() -> dict[str, str]:
    """Return the highest of the lower bounds of each package."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra, needs in project["optional-dependencies"].items():
        wanted += [] if extra in _OWN_TOOLS else needs
    found: dict[str, str] = {}
    for each in wanted:
        if bound := re.fullmatch(r"([\w.-]+)>=([\d.]+)(,<[\d.]+)?(;.*)?", each):
            name, version = bound[1].lower(), bound[2]
            found[name] = max(version, found.get(name, "0"), key=_number)
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in lowest().items()))
