"""Live page of a served pool: members with their leases, drain and restore."""

from collections.abc import Callable

from balancer.cluster.tcp.server import PoolServer
from balancer.commands.served_changes import ServedChanges
from balancer.observing.page.pool_tables import MemberLeases, Tables
from balancer.observing.page.serving import Page, PageContents, open_page
from balancer.opening.pool import Pool

__all__ = ["page_of"]


def page_of(
    pool: Pool,
    server: PoolServer,
    changes: ServedChanges,
    host: str,
    port: int,
    *,
    name: str,
    token: str | None,
    redact: Callable[[str], str],
    audit: Callable[[str], object],
) -> Page:
    """Serve the page of `pool` until the pool is closed. Call it in the server's loop, before it listens.

    Raises:
        ConfigError: it cannot listen there, or the token is too easy to guess.
        MissingExtra: the extra `observe` is not installed.
    """

    def members() -> list[MemberLeases]:
        return [MemberLeases(who.name, leases, waits) for who, leases, waits in server.coordinator.sessions()]

    def grace() -> Tables:
        with pool.engine.lock:
            at_s = server.coordinator.grants_at_s
            if at_s is None:
                return {}
            waiting = sum(len(waits) for _, _, waits in server.coordinator.sessions())
        return {"grace": {"": {"grants_at_s": round(at_s, 1), "waiting": waiting}}}

    contents = PageContents(members=members, extra=grace, admin=changes, audit=audit, name=name)
    page = open_page(pool, host=host, port=port, token=token, redact=redact, contents=contents)
    pool.attach(page)
    return page
