"""Client libraries over a pool: how each takes the transport, and its faces, each run before the three servers.

python -m tests.benchmarks.client_faces NAME    runs the faces of one library, and prints them as lines of JSON
"""

import asyncio
import json
import os
import sys
import textwrap
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balancer import Endpoint, Pool, RetrySettings
from tests.benchmarks.client_servers import SAID, three_grpc_servers, three_servers

__all__ = ["LIBRARIES", "Library"]

_CALLS, _AT_ONCE, _LONGEST_S = 24, 4, 60.0


@dataclass(frozen=True)
class Library:
    """A client library.

    Args:
        install: what pip installs, without versions; the first is the library itself.
        how: lines that make `client`, for threads; `ahow`: for tasks. They find `pool`.
        faces: expressions that ask once, by name; `afaces`: those of tasks. Each comes to a text.
        own_retries: how its own retries are off.
        setup: lines before both.
        lowest: the lowest version that is run as well; "": none.
        note: what is to be known.
    """

    install: Sequence[str]
    how: str = ""
    faces: Mapping[str, str] = field(default_factory=dict)
    ahow: str = ""
    afaces: Mapping[str, str] = field(default_factory=dict)
    own_retries: str = ""
    setup: str = ""
    lowest: str = ""
    note: str = ""


with (Path(__file__).parent / "clients.toml").open("rb") as _file:
    LIBRARIES = {name: Library(**said) for name, said in tomllib.load(_file).items()}


def _lines_of(expression: str, later: bool) -> Any:
    word = "async def" if later else "def"
    return f"{word} ask():\n    return {expression}\n"


def http_of(timeout: Any) -> Any:
    """Return the HTTP library of a client, by its default timeout."""
    imported = [sys.modules[name] for name in ("httpx2", "httpx") if name in sys.modules]
    return next(http for http in imported if isinstance(timeout, http.Timeout))


def _world(library: Library, pool: Pool) -> dict[str, Any]:
    import balancer
    from balancer.transports import sync, tasks

    world = {
        "balancer": balancer,
        "pool": pool,
        "http_of": http_of,
        "BalancedTransport": sync.BalancedTransport,
        "AsyncBalancedTransport": tasks.AsyncBalancedTransport,
    }
    if "openai" in library.how + library.ahow + library.setup and "openai_http" in library.setup:
        from balancer.transports.clients import openai_http

        world["openai_http"] = openai_http
    exec(library.setup, world)
    return world


def _ran(library: Library, expression: str, later: bool) -> dict[str, Any]:
    """Return what came of one face."""
    answers: list[str] = []
    errors: list[str] = []

    def note(answer: Any) -> None:
        good = SAID in str(answer) or "1.0, 2.0" in str(answer)
        (answers if good else errors).append(str(answer).strip()[:120])

    def fail(error: BaseException) -> None:
        errors.append(f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")

    with (three_grpc_servers if "grpcio" in library.install else three_servers)() as servers:
        pool = Pool(
            [Endpoint(server.url, name=server.kind, capacity=2) for server in servers],
            retries=RetrySettings(base_s=0.01),
            acquire_timeout_s=_LONGEST_S,
        )
        world = _world(library, pool)
        made = textwrap.dedent(library.ahow if later else library.how)
        if later:
            asyncio.run(_tasks(world, made, expression, note, fail))
        else:
            exec(made, world)
            exec(_lines_of(expression, later), world)

            def once(_: int) -> None:
                try:
                    note(world["ask"]())
                except BaseException as error:
                    fail(error)

            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(once, range(_CALLS)))
        left = len(pool.leases())
        counted = {each.name: (each.successes, each.failures, each.overloads) for each in pool.stats().endpoints}
        asked = sum(server.asked for server in servers)
    return {"made": _CALLS, "lost": len(errors), "left": left, "asked": asked, "counted": counted, "error": errors[:1]}


async def _tasks(world: dict[str, Any], made: str, expression: str, note: Any, fail: Any) -> None:
    exec(made, world)
    exec(_lines_of(expression, True), world)
    many = asyncio.Semaphore(_AT_ONCE)

    async def once() -> None:
        async with many:
            try:
                note(await world["ask"]())
            except BaseException as error:
                fail(error)

    await asyncio.gather(*(once() for _ in range(_CALLS)))
    for name in ("close", "aclose"):
        if (ends := getattr(world["client"], name, None)) is not None and asyncio.iscoroutinefunction(ends):
            await ends()


def _main(name: str) -> None:
    warnings.simplefilter("ignore")
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "0"}
    library = LIBRARIES[name]
    for later, faces in ((False, library.faces), (True, library.afaces)):
        for face, expression in faces.items():
            try:
                came = _ran(library, expression, later)
            except BaseException as error:
                came = {"broken": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
            print(json.dumps({"face": face, "async": later, **came}), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
