"""The command `balancer fit --summary`, run in this process."""

from typer.testing import CliRunner

from balancer.commands.app import make_app
from balancer.plugins.registry import default_registry

__all__ = ["run"]


def run(*args: str) -> str:
    """Return what it prints; what it raises is raised."""
    result = CliRunner().invoke(make_app(default_registry()), ["fit", "--summary", *args])
    if result.exception is not None:
        raise result.exception
    return result.output
