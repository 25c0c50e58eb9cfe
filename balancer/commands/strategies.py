"""`balancer strategies`: the installed strategies, with their options."""

from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from balancer.plugins.registry import Registered, Registry

__all__ = ["print_strategies", "strategies_data"]

_MOST_WIDE: Final = 100  # longer lines are hard to read


def strategies_data(registry: Registry) -> dict[str, Any]:
    """Return every strategy, with its options and its plugin, as plain data."""
    return {
        "strategies": [_strategy(name, registered) for name, registered in sorted(registry.strategies.items())],
        "broken": [str(broken) for broken in registry.broken],
    }


def print_strategies(registry: Registry, console: Console) -> None:
    """Print the strategies. No line is wider than the terminal."""
    found = strategies_data(registry)
    for strategy in found["strategies"]:
        console.print(Text.assemble((strategy["name"], "bold"), f" (from {strategy['plugin']})"), soft_wrap=True)
        told = [f"{each['name']} = {each['default']!r}: {each['meaning']}" for each in strategy["options"]]
        for line in (strategy["summary"], *told):
            console.print(Padding(Text(line.rstrip(": ")), (0, 0, 0, 4)), width=min(console.width, _MOST_WIDE))
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
