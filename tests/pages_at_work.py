"""Pages at work, for pictures: a pool, a served pool or a proxy with faults. Only `balancer` is needed, of any version.

    python -P tests/pages_at_work.py pool 40 | served | proxied | running CONFIG

It prints the URL of the page and works until its standard input ends.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from balancer import Endpoint, EndpointError, EndpointOverloaded, HealthSettings, Lease, Pool

_TOKEN = "a-token-for-pictures"


def named(number: int) -> str:
    """Return the URL of an endpoint that nobody calls."""
    return f"http://verifier-{number:03}.rack-{number % 7}.cluster.example:8080/"


def _work(lease: Lease, over: threading.Event, rng: random.Random) -> None:
    """Take a time that depends on the endpoint; some fail, some ask for rests."""
    number = int(re.findall(r"verifier-(\d+)", lease.endpoint.url)[0])
    over.wait(rng.uniform(0.02, 0.25) * (1 + number % 3))
    if number % 10 == 1 and rng.random() < 0.9:
        raise EndpointError("connection refused")
    if number % 4 == 2 and rng.random() < 0.04:
        raise EndpointOverloaded("status 429", retry_after_s=0.5)
    if number % 9 == 3 and rng.random() < 0.03:
        raise EndpointError("status 500: worker crashed")


@contextmanager
def _crew(calls: list[Callable[[threading.Event], object]]) -> Iterator[None]:
    """Call each again and again, in a thread of its own."""
    over = threading.Event()

    def again(call: Callable[[threading.Event], object]) -> None:
        while not over.is_set():
            try:
                call(over)
            except Exception:  # what goes wrong is what is shown
                over.wait(0.05)

    crew = [threading.Thread(target=again, args=(call,)) for call in calls]
    for each in crew:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in crew:
            each.join()


def _caller(pool: Pool, holder: str | None, seed: int) -> Callable[[threading.Event], object]:
    rng = random.Random(seed)

    def call(over: threading.Event) -> None:
        with pool.lease(timeout=5.0, **({} if holder is None else {"holder": holder})) as lease:
            _work(lease, over, rng)

    return call


@contextmanager
def pool_at_work(many: int) -> Iterator[str]:
    """Yield the page of a pool of `many` endpoints under load."""
    health = HealthSettings(cooldown_s=3.0, max_cooldown_s=3.0)
    with Pool([Endpoint(named(n), capacity=4) for n in range(many)], health=health, seed=1) as pool:
        if many > 4:
            pool.drain(named(5))
        crew = [_caller(pool, f"run {n % 5}", n) for n in range(min(200, 4 * many))]
        with _crew(crew), pool.serve_page(token=_TOKEN) as page:
            yield page.url


@contextmanager
def _command(*words: str) -> Iterator[tuple[str, str]]:
    """Run a command; yield what it serves and its page."""
    command = [sys.executable, "-P", "-m", "balancer", *words, "--port", "0", "--page", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = [re.findall(r"(?:balancer|http)://127\.0\.0\.1:\d+/?", process.stdout.readline()) for _ in "12"]
        try:
            yield found[0][0], found[1][0]
        finally:
            process.terminate()


@contextmanager
def served_at_work(folder: Path) -> Iterator[str]:
    """Yield the page of a server, and of five processes (connections of this one) that share its pool."""
    config = folder / "served.toml"
    config.write_text("[health]\ncooldown_s = 3.0\n" + "".join(
        f'[[endpoints]]\nurl = "{named(n)}"\ncapacity = 4\n' for n in range(8)))  # fmt: skip
    with ExitStack() as stack:
        server, page = stack.enter_context(_command("serve", str(config), "--ttl", "2"))
        pools = [stack.enter_context(Pool.connect(server, name=f"node-{n}.cluster.example")) for n in range(5)]
        crew = [_caller(pools[n % 5], None, n) for n in range(45)]
        with _crew(crew):
            yield page


class _Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rng = random.Random(1)

    def do_GET(self) -> None:
        """Answer after a while; some answers are no success."""
        threading.Event().wait(self.rng.uniform(0.02, 0.3))
        status = self.rng.choices([200, 429, 500], [94, 3, 3])[0]
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def proxied_at_work(folder: Path) -> Iterator[str]:
    """Yield the page of a proxy of four servers of this process and one that is not there."""
    with ExitStack() as stack:
        urls = ["http://127.0.0.1:9/"]
        for _ in range(4):
            server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            urls.append(f"http://127.0.0.1:{server.server_port}/")
        config = folder / "proxied.toml"
        config.write_text("".join(f'[[endpoints]]\nurl = "{url}"\ncapacity = 4\n' for url in urls))
        proxy, page = stack.enter_context(_command("proxy", str(config)))
        stack.enter_context(_crew([lambda _: urllib.request.urlopen(proxy, timeout=10).read()] * 20))
        yield page


@contextmanager
def running(config: str, folder: Path) -> Iterator[str]:
    """Yield the page of a run of the pipeline."""
    command = [sys.executable, "-P", "-m", "balancer", "run", config, "--results", str(folder), "--live", "0"]
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "COLUMNS": "200"}
    ) as process:
        assert process.stdout is not None
        said = process.stdout
        url = next(found[0] for line in said if (found := re.findall(r"page at (http://\S+)", line)))
        threading.Thread(target=lambda: list(said), daemon=True).start()
        try:
            yield url
        finally:
            process.terminate()


def main() -> None:
    """Show the page that is asked for."""
    kind, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        shown = (
            pool_at_work(int(rest[0]))
            if kind == "pool"
            else served_at_work(Path(name))
            if kind == "served"
            else running(rest[0], Path(name))
            if kind == "running"
            else proxied_at_work(Path(name))
        )
        with shown as url:
            print(url, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
