"""The `balancer sandbox` command.

The server is imported only when the command runs, because its web framework is an optional extra.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from balancer.errors import ConfigError
from balancer.hookspecs import hookimpl
from balancer.plugins.extras import require
from balancer.values.wording import why_not_listening

__all__ = ["balancer_commands"]


@hookimpl
def balancer_commands(app: typer.Typer) -> None:
    """Add `balancer sandbox` to the command line."""
    app.command(rich_help_panel="Servers", epilog="Example: balancer sandbox --port 8080 --workers 4")(sandbox)


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on. 0: a free port.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    workers: Annotated[int | None, typer.Option(min=1, help="Programs at once. Default: one per core.")] = None,
    isolation: Annotated[str, typer.Option(help="auto, bubblewrap, unshare or rlimits (no isolation).")] = "auto",
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait. Further ones are refused as busy.")] = 64,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that clients must send. Default: BALANCER_SANDBOX_TOKEN, if it is set."),
    ] = None,
) -> None:
    """Serve isolated program runs over SandboxFusion's HTTP API."""
    require("serve", '"balancer sandbox"')
    from balancer.sandbox.server.app import serve, token_from
    from balancer.sandbox.server.handler import ServerSettings

    settings = ServerSettings(queue=queue, token=token_from(token_file))
    try:
        serve(host, port, isolation, replace(settings, workers=workers) if workers else settings)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {why_not_listening(error)}") from None
