"""Shell completion: names of strategies, TOML files, results folders.

Decides what is offered for the word that was begun. It must not know what a command does with it.
"""

from pathlib import Path
from typing import Any

from balancer.plugins.registry import default_registry

__all__ = ["result_folders", "strategy_names", "toml_files", "without_clutter"]

_HIDDEN = ("install_completion", "show_completion")


def strategy_names(incomplete: str) -> list[str]:
    """Return the strategies whose names begin like this."""
    return [name for name in sorted(default_registry().strategies) if name.startswith(incomplete)]


def toml_files(incomplete: str) -> list[str]:
    """Return the TOML files, and the folders that may hold some, whose paths begin like this."""
    return _paths(incomplete, ".toml")


def result_folders(incomplete: str) -> list[str]:
    """Return the folders whose paths begin like this."""
    return _paths(incomplete, None)


def _paths(incomplete: str, suffix: str | None) -> list[str]:
    folder, _, begun = incomplete.rpartition("/")
    where = Path(folder or ("/" if incomplete.startswith("/") else "."))
    try:
        entries = sorted(entry for entry in where.iterdir() if entry.name.startswith(begun))
    except OSError:
        return []
    shown = incomplete[: len(incomplete) - len(begun)]
    return [
        f"{shown}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if (entry.is_dir() or entry.suffix == suffix) and (begun or not entry.name.startswith("."))
    ]


def without_clutter(command: Any) -> Any:
    """Return `command` whose help leaves out the two options that set up completion."""
    for option in command.params:
        if option.name in _HIDDEN:
            option.hidden = True
    return command
