"""`balancer strategies`: the installed strategies, with their options."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from balancer.plugins.registry import Registered, Registry

__all__ = ["print_strategies", "strategies_data"]

_MOST_WIDE: Final = 100  # longer lines are hard to read
_INDENT: Final = "    "


def strategies_data(registry: Registry) -> dict[str, Any]:
    """Return every strategy, with its options and its plugin, as plain data."""
    return {
        "strategies": [_strategy(name, registered) for name, registered in sorted(registry.strategies.items())],
        "broken": [str(broken) for broken in registry.broken],
    }


def print_strategies(registry: Registry, console: Console) -> None:
    """Print the strategies. No line is wider than the terminal."""
    width = min(console.width, _MOST_WIDE)
    found = strategies_data(registry)
    for strategy in found["strategies"]:
        console.print(Text(strategy["name"], style="bold"), Text(f" (from {strategy['plugin']})"), sep="")
        for line in _lines(strategy, width):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    for broken in found["broken"]:
        console.print(broken, markup=False)


def _strategy(name: str, registered: Registered[Any]) -> dict[str, Any]:
    summary = (registered.item.__doc__ or "").strip().splitlines()
    return {
        "name": name,
        "summary": summary[0] if summary else "",
        "options": [
            {"name": option, "default": field.get_default(), "meaning": field.description or ""}
            for option, field in registered.item.Options.model_fields.items()
        ],
        "plugin": registered.plugin,
    }


def _lines(strategy: Mapping[str, Any], width: int) -> Iterator[str]:
    yield from textwrap.wrap(
        strategy["summary"], width, break_on_hyphens=False, initial_indent=_INDENT, subsequent_indent=_INDENT
    )
    for option in strategy["options"]:
        words = f"{option['name']} = {option['default']!r}: {option['meaning']}".rstrip(": ")
        yield from textwrap.wrap(
            words, width, break_on_hyphens=False, initial_indent=_INDENT, subsequent_indent=_INDENT * 2
        )
