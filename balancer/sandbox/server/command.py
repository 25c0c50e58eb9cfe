"""The `balancer sandbox` command.

Adds the command; what it does is in `server`, which is imported only when the command runs, because its web
framework is an optional extra.
"""

from typing import Annotated

import typer

from balancer.errors import BalancerError
from balancer.hookspecs import hookimpl
from balancer.plugins.extras import require

__all__ = ["balancer_commands"]


@hookimpl
def balancer_commands(app: typer.Typer) -> None:
    """Add `balancer sandbox` to the command line."""
    app.command("sandbox")(sandbox)


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on; there is no authentication.")] = "127.0.0.1",
    workers: Annotated[int | None, typer.Option(min=1, help="Programs at once; by default one per core.")] = None,
    isolation: Annotated[str, typer.Option(help="auto, bubblewrap, unshare or rlimits (no isolation).")] = "auto",
) -> None:
    """Serve isolated program runs over SandboxFusion's HTTP API."""
    require("server", '"balancer sandbox"')
    from balancer.sandbox.server.app import serve

    try:
        serve(host, port, workers, isolation)
    except BalancerError as error:
        raise _stopped(str(error)) from error
    except OSError as error:
        raise _stopped(f"cannot listen on {host} port {port}: {error.strerror}; choose another --port") from error


def _stopped(reason: str) -> typer.Exit:
    typer.echo(reason, err=True)
    return typer.Exit(2)
