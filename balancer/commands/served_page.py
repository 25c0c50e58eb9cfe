"""Live page of a served pool: members with their leases, and buttons that drain and restore endpoints.

A button makes a step of the server, so that waiters are served and all members hear of it. The step crosses from the
page's thread to the server's loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer
from balancer.core import Waiter
from balancer.core.states import MembershipState
from balancer.errors import DuplicateEndpoint
from balancer.observing.page.pool_tables import MemberLeases, Tables
from balancer.observing.page.serving import Page, PageContents, open_page
from balancer.pool.pool import Pool

__all__ = ["page_of"]

_PATIENCE_S = 10.0

Act = Callable[[float], Sequence[Waiter]]


def page_of(
    pool: Pool, server: PoolServer, host: str, port: int, *, token: str | None, redact: Callable[[str], str]
) -> Page:
    """Serve the page of `pool` until the pool is closed. Call it in the server's loop, before it listens.

    Raises:
        ConfigError: it cannot listen there, or the token is too easy to guess.
        MissingExtra: the extra `page` is not installed.
    """
    loop = asyncio.get_running_loop()
    core = pool.engine.core

    def members() -> list[MemberLeases]:
        return [MemberLeases(who.name, leases, waiting) for who, leases, waiting in server.coordinator.sessions()]

    async def step(act: Act) -> None:
        server.act(lambda: server.coordinator.change([partial(act, clock())], clock()))

    def change(act: Act) -> None:
        asyncio.run_coroutine_threadsafe(step(act), loop).result(_PATIENCE_S)

    def drain(name: str) -> None:
        change(lambda now: core.drain(name, now))

    def restore(name: str) -> None:
        def act(now: float) -> Sequence[Waiter]:
            account = core.ledger.account(name)
            if account.state is not MembershipState.DRAINING:  # a retiring endpoint is no longer in the config
                raise DuplicateEndpoint(name)
            return core.add(account.endpoint, now)

        change(act)

    def grace() -> Tables:
        with pool.engine.lock:
            at_s = server.coordinator.grants_at_s
            if at_s is None:
                return {}
            waiting = sum(count for _, _, count in server.coordinator.sessions())
        return {"grace": {"": {"grants_at_s": round(at_s, 1), "waiting": waiting}}}

    buttons = {"drain": drain, "restore": restore}
    contents = PageContents(members=members, extra=grace, buttons=buttons)
    page = open_page(pool, host=host, port=port, token=token, redact=redact, contents=contents)
    pool.attach(page)
    return page
