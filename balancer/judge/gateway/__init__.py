"""Gateway: the APIs of sandboxes over a judge, as routes of `balancer proxy`. So many executors look like one sandbox.

- `routes`: which path is answered by what.
- `fusion`: SandboxFusion's `/run_code`; `submit`: its `/submit`.
- `open_instruct`: the `/test_program` and `/test_program_stdio` of open-instruct.
- `requests`: requests and refusals, for all of them; `plain_pickle`: values of a pickle that can do no harm.
"""

from collections.abc import Callable, Iterable
from typing import Any

from balancer.hookspecs import RoutePlugin, Routes, hookimpl
from balancer.plugins.extras import require

__all__ = ["balancer_routes"]


@hookimpl
def balancer_routes() -> Iterable[RoutePlugin]:
    """Return the routes of a sandbox."""
    return [RoutePlugin("sandbox", _sandbox, "runs programs on the pool, as SandboxFusion and open-instruct do")]


def _sandbox(pool: Any, config: Any, registry: Any) -> tuple[Routes, Callable[[], object]]:
    require("judge", 'the route "sandbox"')
    from balancer.judge.gateway.routes import sandbox_routes  # only a proxy with this route needs it

    return sandbox_routes(pool, config, registry)
