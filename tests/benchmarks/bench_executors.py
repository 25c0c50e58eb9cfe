"""What it costs to send a program to a server: microseconds of CPU of this process, by executor.

    python -m tests.benchmarks.bench_executors [--short]

The server is a process of its own that answers at once, over connections that are kept. So only the client's CPU is
counted. All take turns. First come bare clients that send the same bytes to the same path; "a socket" writes them and
reads until the answer is complete, and knows no HTTP. The executors run a program in Python, whose request they write
and whose answer they read. Judge0 takes two requests for it, here without the pause between them. "Judge" is
`Judge.run` with one case: with a lease, and the verdict.
"""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import urlsplit

import httpx2

from balancer.judge import Judge
from balancer.opening.pool import Pool
from balancer.program import Executor, Limits, Program, Status
from balancer.sandbox.servers.fusion import FusionExecutor
from balancer.sandbox.servers.gojudge import GoJudgeExecutor
from balancer.sandbox.servers.judge0 import Judge0Executor
from balancer.sandbox.servers.piston import PistonExecutor
from tests.benchmarks.harness import in_turns, options, show, timed
from tests.instant import instant_server

_PROGRAM = Program("python", "print(2 * int(input()))")
_STDIN, _LIMITS = b"2\n", Limits()
_BODY = json.dumps({"code": _PROGRAM.source, "language": "python", "stdin": "2\n", "run_timeout": 10}).encode()
_HEADERS = {"Content-Type": "application/json"}

Act = Callable[[], object]


class HastyJudge0(Judge0Executor):
    """Asks for the result at once: a process that sleeps between two programs makes each with cold caches."""

    first_pause_s = 0.0


@contextmanager
def clients(url: str) -> Iterator[dict[str, Act]]:
    """Yield bare clients of the server at `url`, each with a connection of its own."""
    place = urlsplit(url).netloc
    request = (
        b"POST /run_code HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (place.encode(), len(_BODY), _BODY)
    )
    host, _, port = place.partition(":")
    plain = http.client.HTTPConnection(place)
    with socket.create_connection((host, int(port))) as bare, httpx2.Client(trust_env=False) as full:
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def by_socket() -> bytes:
            bare.sendall(request)
            found = b""
            while not found.endswith(b"}"):
                found += bare.recv(65536)
            return found

        def by_http_client() -> bytes:
            plain.request("POST", "/run_code", _BODY, _HEADERS)
            return plain.getresponse().read()

        yield {
            "a socket": by_socket,
            "http.client": by_http_client,
            "httpx2": lambda: full.post(f"{url}run_code", content=_BODY, headers=_HEADERS).content,
        }
        plain.close()


def executors(url: str) -> Mapping[str, Executor]:
    """Return an executor of each kind for the server at `url`."""
    return {
        "balancer sandbox": FusionExecutor(url),
        "SandboxFusion": FusionExecutor(f"{url}script/"),
        "go-judge": GoJudgeExecutor(f"gojudge+{url}"),
        "Piston": PistonExecutor(f"piston+{url}"),
        "Judge0": HastyJudge0(f"judge0+{url}"),
    }


def runs(executor: Executor) -> None:
    """Run the program once."""
    assert executor.run(_PROGRAM, _STDIN, _LIMITS, {}).status is Status.FINISHED


def judges(judge: Judge) -> None:
    """Judge the program on one case."""
    assert judge.run(_PROGRAM, [("2\n", "4\n")]).score == 1.0


def many(act: Act, count: int) -> float:
    """Return the seconds of CPU of this process that `act` takes, by `count` times in a row."""

    def all_of_them() -> None:
        for _ in range(count):
            act()

    return timed(all_of_them, time.process_time) / count


def main() -> None:
    """Measure, and print a table."""
    given = options(__doc__, "fewer turns, of fewer programs")
    count, turns = (50, 5) if given.short else (300, 15)
    with ExitStack() as stack:
        url = stack.enter_context(instant_server())
        acts: dict[str, Act] = dict(stack.enter_context(clients(url)))
        for name, executor in executors(url).items():
            stack.callback(executor.close)
            acts[name] = partial(runs, executor)
        acts["Judge"] = partial(judges, stack.enter_context(Judge(Pool([url]))))
        for act in acts.values():
            act()  # it asks what the server is
        took = in_turns({name: partial(many, act, count) for name, act in acts.items()}, turns)
    show(
        "one program, or one request | us of CPU | x a socket",
        ((name, f"{took.median(name) * 1e6:.0f}", f"{took.ratio(name, 'a socket'):.1f}") for name in acts),
        "What it costs to send a program to a server",
    )


if __name__ == "__main__":
    main()
