"""Clients of faulty servers: threads, asyncio and trio send requests through one pool to servers with every fault.

python -m tests.stress.faulty    serves until its input ends: prints the URLs, and the faults so far for each line
"""

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import requests
import trio

from balancer import (
    AsyncBalancedTransport,
    BalancedAdapter,
    BalancedTransport,
    BalancerError,
    Endpoint,
    HealthSettings,
    Lease,
    LimitSettings,
    Pool,
    RetrySettings,
)
from tests.contracts.documents import ROOT
from tests.faults.proxy import FAULTS, FaultProxy
from tests.model_server import model_server
from tests.patience import PATIENCE_S
from tests.registered import NAMES
from tests.tasks.mixed import InTime, Sleep, changed

__all__ = ["FaultyCalls", "FaultyServers", "faulty_servers"]

_SERVERS = 6
_SLOTS = 3
_TASKS = 4  # of each loop
_READS_S = 1.0  # a hang costs so much; one that is cut short by a busy machine is a failure like others
_SHARE = 0.5
_EVERY_S = 0.05
_ANSWER = b'{"said": 1}'
_PATH = "http://pool/v1/say"
_ASKS = {"attempts": 3, "deadline_s": 10.0, "acquire_timeout_s": 5.0}


class FaultyServers:
    """Servers with every fault, in a process of their own.

    Attributes:
        urls: theirs.
        pid: of the process.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self._input, self._output = process.stdin, process.stdout
        self.pid = process.pid
        self.urls: list[str] = json.loads(self._output.readline())

    def met(self) -> Counter[str]:
        """Return how often each fault was committed so far."""
        print(file=self._input, flush=True)
        return Counter(json.loads(self._output.readline()))


@contextmanager
def faulty_servers() -> Iterator[FaultyServers]:
    """Run the servers for the length of a `with` block."""
    command = [sys.executable, "-m", "tests.stress.faulty"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            yield FaultyServers(process)
        finally:
            process.kill()


def _serve() -> None:
    with ExitStack() as stack:
        model = stack.enter_context(model_server(remember=False, refuses=(200, _ANSWER)))
        names = list(FAULTS)
        proxies = [
            stack.enter_context(
                FaultProxy(
                    model.url,
                    names[number * 4 :] + names[: number * 4],  # or a short run would meet the first ones only
                    share=_SHARE,
                    seed=number,
                    seconds=0.2,
                    huge_bytes=2**20,
                )
            )
            for number in range(_SERVERS)
        ]
        print(json.dumps([proxy.url for proxy in proxies]), flush=True)
        for _ in sys.stdin:
            print(json.dumps(sum((proxy.done for proxy in proxies), Counter())), flush=True)


# -- clients ---------------------------------------------------------------------------------------


class FaultyCalls:
    """All who call these servers, until it ends.

    Args:
        urls: of the servers.
        seed: of all that is drawn.

    Attributes:
        pool: theirs. Its endpoints come and go, but for the first one, and its strategy changes.
        served: requests that were answered, or failed, after a lease, by the kind of caller.
        ends: how often requests ended how.
        changes: of endpoints and of the strategy, by the method of the pool.
        violations: errors that nobody should meet.
    """

    def __init__(self, urls: list[str], seed: int) -> None:
        self.served: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.violations: list[str] = []
        self._specs = [Endpoint(url, capacity=_SLOTS, name=f"s{number}") for number, url in enumerate(urls)]
        self.pool = Pool(
            self._specs,
            health=HealthSettings(cooldown_s=0.05, max_cooldown_s=0.2, slow_start_s=0.1),
            limits=LimitSettings(kind="aimd"),
            retries=RetrySettings(base_s=0.0, budget_ratio=1.0),
            seed=seed,
        )
        self._seed, self._over, self._lock = seed, threading.Event(), threading.Lock()
        acts: list[Callable[[], None]] = [self._change, self._httpx2, self._requests, self._calls]
        acts += [lambda: asyncio.run(self._asyncio()), lambda: trio.run(self._trio)]
        self._crew = [threading.Thread(target=self._guarded, args=(act,), daemon=True) for act in acts]

    def __enter__(self) -> "FaultyCalls":
        for thread in self._crew:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._crew:
            thread.join(PATIENCE_S)
        stuck = sum(thread.is_alive() for thread in self._crew)
        if stuck:
            self.violations.append(f"lost: {stuck} callers of faulty servers do not end")

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            self.violations.append(f"a caller of faulty servers ended with {error!r}")

    def _change(self) -> None:
        rng = random.Random(self._seed)
        while not self._over.wait(_EVERY_S):
            try:
                self.changes[changed(self.pool, rng, self._specs[1:], NAMES)] += 1
            except BalancerError:  # it is there already, or not there
                continue

    def _count(self, caller: str, end: str) -> None:
        with self._lock:
            self.served[caller] += end not in ("PoolTimeout", "ConnectTimeout", "AcquireTimeout", "NoEndpoint")
            self.ends[end] += 1

    def _httpx2(self) -> None:
        rng = random.Random(self._seed + 1)
        with httpx2.Client(transport=BalancedTransport(self.pool, **_ASKS), timeout=_READS_S) as http:
            while not self._over.is_set():
                try:
                    with http.stream("POST", _PATH, json={"n": rng.randrange(100)}) as answer:
                        if rng.random() < 0.8:  # the others are closed before their body came
                            answer.read()
                    self._count("httpx2, a thread", str(answer.status_code))
                except httpx2.HTTPError as error:
                    self._count("httpx2, a thread", type(error).__name__)

    def _requests(self) -> None:
        rng = random.Random(self._seed + 2)
        with requests.Session() as session:
            session.mount("http://pool/", BalancedAdapter(self.pool, **_ASKS))
            while not self._over.is_set():
                try:
                    json_ = {"n": rng.randrange(100)}
                    answer = session.post(_PATH, json=json_, timeout=_READS_S, allow_redirects=False)
                    self._count("requests, a thread", str(answer.status_code))
                except requests.RequestException as error:
                    self._count("requests, a thread", type(error).__name__)

    def _calls(self) -> None:
        """Call with hedges, by a client that knows no pool."""
        rng = random.Random(self._seed + 3)

        with httpx2.Client(timeout=_READS_S) as http:

            def ask(lease: Lease) -> int:
                answer = http.post(lease.endpoint.url, json={"n": rng.randrange(100)})
                return answer.raise_for_status().status_code

            while not self._over.is_set():
                try:
                    hedge_after_s = rng.choice((None, 0.05))
                    end = str(self.pool.call(ask, attempts=3, deadline_s=10.0, hedge_after_s=hedge_after_s))
                except (httpx2.HTTPError, BalancerError) as error:
                    end = type(error).__name__
                self._count("Pool.call, hedged", end)

    async def _task(
        self, caller: str, number: int, sleep: Sleep, in_time: Callable[[float], object], late: type[Exception]
    ) -> None:
        rng = random.Random(self._seed * 100 + number)
        transport = AsyncBalancedTransport(self.pool, **_ASKS)
        async with httpx2.AsyncClient(transport=transport, timeout=_READS_S) as http:
            while not self._over.is_set():
                try:
                    async with in_time(rng.choice((0.05, 0.5, 20.0))):  # type: ignore[attr-defined]
                        answer = await http.post(_PATH, json={"n": rng.randrange(100)})
                    end = str(answer.status_code)
                except late:
                    end = "cancelled"
                except httpx2.HTTPError as error:
                    end = type(error).__name__
                self._count(caller, end)
                await sleep(0)

    async def _asyncio(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(_TASKS):
                group.create_task(self._task("httpx2, asyncio", number, asyncio.sleep, asyncio.timeout, TimeoutError))

    async def _trio(self) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(_TASKS):
                nursery.start_soon(self._task, "httpx2, trio", _TASKS + number, trio.sleep, InTime, trio.TooSlowError)


if __name__ == "__main__":
    _serve()
