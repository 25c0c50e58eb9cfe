"""The `balancer proxy` command: one URL in front of the pool of a config, or of one that `balancer serve` serves.

The proxy is imported only when the command runs, because its parser is an optional extra.
"""

import asyncio
import math
import signal
import ssl
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from balancer.commands.options import CaOption, ConfigArgument, PageOption, PoolOption, TokenOption, over_pool, redacted
from balancer.commands.output import print_errors
from balancer.errors import BalancerError, CommandStopped, ConfigError
from balancer.hookspecs import Route, hookimpl
from balancer.plugins.extras import require
from balancer.plugins.registry import Registry
from balancer.reporting.words import count

if TYPE_CHECKING:
    from balancer.opening.pool import Pool
    from balancer.proxy.app import ProxyServer
    from balancer.settings.config import Config

__all__ = ["balancer_commands"]

_KEPT_FILES: Final = 200  # files for all else than connections
_FEWEST: Final = 16
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@hookimpl
def balancer_commands(app: typer.Typer) -> None:
    """Add `balancer proxy` to the command line."""
    app.command(rich_help_panel="Servers", epilog="Example: balancer proxy pool.toml --port 8080 --page 8800")(proxy)


def proxy(
    context: typer.Context,
    config: ConfigArgument,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on. 0: a free port.")] = 8080,
    shared: Annotated[bool, typer.Option("--shared", help="Share the port with other processes of this command.")] = (
        False
    ),
    pool: PoolOption = None,
    token_file: TokenOption = None,
    ca: CaOption = None,
    cert: Annotated[Path | None, typer.Option(help="PEM file with the certificate, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")] = None,
    page: PageOption = None,
    page_host: Annotated[
        str, typer.Option("--page-host", help="Address of the page. All who reach it see the pool.")
    ] = "127.0.0.1",
) -> None:
    """Pass HTTP requests on to the endpoints of CONFIG, at one URL, for any client."""
    require("proxy", '"balancer proxy"')
    from balancer.settings.config import load_config

    if page is not None:
        require("observe", '"balancer proxy --page"', "starlette", "uvicorn")
    settings = over_pool(load_config(config), pool, token_file, ca)
    if not (settings.model_fields_set & {"endpoints", "discovery"} or settings.pool.connect is not None):
        raise settings.located("endpoints", ConfigError("there are none; list the servers, each with its url"))
    from balancer.cluster.tcp.server import loop_factory
    from balancer.commands.serve import raise_limit, tls_of
    from balancer.opening.pool import Pool
    from balancer.reporting.streams import never_waiting

    limit = raise_limit()  # each request needs a second connection, to a server
    most = limit if limit == math.inf else max(_FEWEST, (limit - _KEPT_FILES) // 2)
    with (
        redacted(settings),
        never_waiting(),
        Pool.from_config(settings, registry=context.obj) as made,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        place = _Place(host, port, shared, tls_of(cert, key), None if page is None else (page, page_host), most)
        number = runner.run(_serve(made, settings, context.obj, place, lambda: load_config(config)))
    raise CommandStopped(128 + number)


class _Place(NamedTuple):
    """Where the proxy and its page listen, and for how many clients."""

    host: str
    port: int
    shared: bool
    tls: ssl.SSLContext | None
    page: tuple[int, str] | None
    most: float


async def _serve(
    pool: "Pool", config: "Config", registry: Registry, place: _Place, again: Callable[[], "Config"]
) -> int:
    """Serve until a signal comes, and return its number."""
    from balancer.commands.pings import EndpointPings
    from balancer.commands.stopping import told_to_stop
    from balancer.opening.connected import ConnectedPool
    from balancer.proxy.app import ProxyServer
    from balancer.proxy.client_side import ConnectionLimits
    from balancer.proxy.contact import PoolContact

    with ExitStack() as owned:
        routes: dict[str, Route] = {}
        for name in config.proxy.routes:
            made, close = registry.find(name, registry.routes, "route").make(pool, config, registry)
            owned.callback(close)
            routes.update(made)
        try:
            contact = PoolContact(pool) if isinstance(pool, ConnectedPool) else None
            server = ProxyServer(
                pool,
                config.proxy,
                routes=routes,
                limits=ConnectionLimits(connections=place.most),
                contact=contact,
                redact=config.redact,
            )
        except ConfigError as error:
            raise config.located("proxy", error) from None
        if config.pool.connect is None:  # else the server pings
            owned.callback(EndpointPings(config, registry, pool).start().stop)
        stopped = told_to_stop()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _admit_again, server, again, config)
        port = await server.listen(place.host, place.port, tls=place.tls, shared=place.shared)
        scheme, host = "http" if place.tls is None else "https", f"[{place.host}]" if ":" in place.host else place.host
        slots, endpoints = sum(each.capacity for each in pool.endpoints()), len(pool.endpoints())
        print(f"proxy of {count(slots, 'slot')} of {count(endpoints, 'endpoint')} at {scheme}://{host}:{port}/")
        if place.host not in _LOOPBACK and not config.proxy.tenants:
            print(
                f"warning: anybody who can reach {place.host} can send requests; give [[proxy.tenants]]",
                file=sys.stderr,
            )
        if place.page is not None:
            from balancer.observing.page.serving import token_of_environment

            name = Path(config.file).stem
            shown = pool.serve_page(*place.page, token_of_environment(), redact=config.redact, name=name)
            print(f"page at {shown.url}")
        sys.stdout.flush()
        try:
            return await stopped
        finally:
            await server.stop()


def _admit_again(server: "ProxyServer", again: Callable[[], "Config"], before: "Config") -> None:
    """Read the tenants of the config again. A config with a mistake changes nothing."""
    try:
        config = again()
        server.admit(config.proxy.tenants)
    except (BalancerError, OSError) as error:
        print_errors([before.redact(f"the config is not read again: {error}")])
        return
    told = count(len(config.proxy.tenants), "tenant")
    print(f"read the config again: {told}; all else changes with a restart", flush=True)
