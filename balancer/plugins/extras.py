"""Optional extras: the packages of each one, and what to install if they are missing."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from balancer.errors import MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

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
        MissingExtra: in one line, what needs which extra, and how to install it from where this package came from.
    """
    if missing := _missing(modules or EXTRAS[extra]):
        raise MissingExtra(what, extra, missing, _remedy(extra))


def has(extra: str, *modules: str) -> bool:
    """Return whether the modules are installed (default: all of `extra`). Imports none of them."""
    return not _missing(modules or EXTRAS[extra])


def _missing(modules: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(module for module in modules if find_spec(module) is None)


def _remedy(extra: str) -> str:
    origin = _origin()
    if origin is None:
        return f"install balancer again from where you have it, as balancer[{extra}]"
    path, editable = origin
    return f"pip install {'-e ' if editable else ''}'{path}[{extra}]'"


def _origin() -> "tuple[Path, bool] | None":
    """Return the folder or wheel that this package was installed from, if it still exists; True if it is editable."""
    # Imported here: every pool loads this module, and few lack an extra.
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from pathlib import Path
    from urllib.parse import unquote, urlsplit

    try:
        recorded: Any = json.loads(distribution("balancer").read_text("direct_url.json") or "{}")  # PEP 610
    except PackageNotFoundError:
        return None
    url = urlsplit(recorded.get("url", ""))
    path = Path(unquote(url.path))
    if url.scheme != "file" or not path.exists():
        return None
    return path, bool(recorded.get("dir_info", {}).get("editable"))
