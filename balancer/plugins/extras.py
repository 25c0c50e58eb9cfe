"""Optional extras: the packages of each one, and what to install if they are missing."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from balancer.errors import MissingExtra

__all__ = ["EXTRAS", "has", "require"]

# The modules that this project imports, by extra; pyproject.toml has the distributions.
EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "discovery": ("dns", "yaml"),
    "llm": ("openai",),
    "observe": ("opentelemetry", "prometheus_client", "starlette", "uvicorn"),
    "pipeline": ("aiohttp", "jinja2", "matplotlib", "numpy", "yaml"),
    "proxy": ("aiohttp",),
    "ray": ("msgspec", "ray"),
    "rows": ("datasets", "pyarrow"),
    "serve": ("anyio", "msgspec", "prometheus_client", "starlette", "uvicorn"),
    "simulator": ("jinja2", "matplotlib", "numpy", "scipy", "simpy"),
    "transports": ("aiohttp", "httpx2", "openai", "requests"),
}


def require(extra: str, what: str, *modules: str) -> None:
    """Return if the modules are installed. Imports none of them.

    Args:
        extra: the name of the extra that brings them.
        what: what needs it, e.g. '"balancer simulate"'.
        modules: those that are needed; default: all of the extra.

    Raises:
        MissingExtra: in one line, what needs which extra, and how to install it.
    """
    if missing := _missing(modules or EXTRAS[extra]):
        raise MissingExtra(what, extra, missing, f"install balancer again from where you have it, as balancer[{extra}]")


def has(extra: str, *modules: str) -> bool:
    """Return whether the modules are installed (default: all of `extra`). Imports none of them."""
    return not _missing(modules or EXTRAS[extra])


def _missing(modules: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(module for module in modules if find_spec(module) is None)
