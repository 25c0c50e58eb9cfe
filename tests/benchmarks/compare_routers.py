"""A pool beside LiteLLM's Router and beside a round robin of clients: latency, fairness, a dead and a slow server.

    python -m tests.benchmarks.compare_routers [--short] [--litellm PYTHON] [--write]

Each router runs in a process of its own against the same servers of this process, which answer as a model does and
count; each is asked by tasks. `--litellm` names the Python of an environment that has LiteLLM; without it one is made
beside this project's, with the release below. It is never a dependency: two of its releases (1.82.7 and 1.82.8, of 24
March 2026) were put on PyPI by somebody else, to steal keys. The one that is pinned here came half a year later.

What is printed are ratios, of what was measured in one run: the time of a request to that of the SDK alone, taken in
turns; the share of the busiest server to a fair one; the time of all requests to the shortest possible. With `--write`
the table goes into docs/measurements.md.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.harness import END, ROOT, begin_of, markdown, options, write_between
from tests.benchmarks.router_worker import ROUTERS
from tests.model_server import ModelServer, model_server

__all__ = ["BEGIN", "END", "LITELLM", "PAGE"]

LITELLM = "litellm==1.109.3"
PAGE = ROOT / "docs" / "measurements.md"
BEGIN = begin_of("compare_routers")

_WORKER = ROOT / "tests" / "benchmarks" / "router_worker.py"
_VENV = ROOT / ".venv-litellm"
_SERVERS, _CAPACITY, _TASKS = 3, 4, 12
_WORD_S, _SLOW = 0.02, 10  # a request takes four words


@dataclass(frozen=True)
class Found:
    """What one router did in one case. `came`: requests that reached each server; `peak`: the most at one time."""

    took: dict[str, Any]
    came: list[int]
    peak: list[int]


@contextmanager
def _dead() -> Iterator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        yield f"http://127.0.0.1:{held.getsockname()[1]}/"


def _ask(
    python: str,
    router: str,
    words_s: Sequence[float],
    *,
    requests: int,
    tasks: int,
    dead: int = 0,
    beside: bool = False,
) -> Found:
    with ExitStack() as stack:
        gone = [stack.enter_context(_dead()) for _ in range(dead)]
        models: list[ModelServer] = [
            stack.enter_context(model_server(word_s=word_s, remember=False)) for word_s in words_s
        ]
        asked = {
            "urls": [model.url for model in models] + gone,
            "requests": requests,
            "tasks": tasks,
            "capacity": _CAPACITY,
            "beside": beside,
            "warm": stack.enter_context(model_server(remember=False)).url,
        }
        ran = subprocess.run(
            [python, str(_WORKER), router],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=600,
        )
        if ran.returncode:
            raise RuntimeError(f"{router}: {ran.stderr.strip().splitlines()[-1:]}")
        took = json.loads(ran.stdout.splitlines()[-1])
        for error, count in took.get("errors", {}).items():
            print(f"{router}: {count} x {error}", file=sys.stderr, flush=True)
        return Found(took, [model.asked for model in models], [model.peak for model in models])


def _row(python: str, router: str, share: float) -> list[str]:
    """Return what one router does in all cases; `share`: of the requests of a full run."""
    requests = max(40, round(400 * share))
    latency = _ask(python, router, [0.0], requests=requests, tasks=1, beside=True).took
    added = latency["routed_ms"] - latency["direct_ms"]
    fair = _ask(python, router, [_WORD_S] * _SERVERS, requests=requests, tasks=_TASKS)
    dead = _ask(python, router, [_WORD_S] * (_SERVERS - 1), requests=requests, tasks=_TASKS, dead=1)
    slow = _ask(python, router, [_WORD_S, _WORD_S, _WORD_S * _SLOW], requests=requests, tasks=_TASKS)
    run_s = 4 * _WORD_S
    return [
        router,
        f"{latency['routed_ms'] / latency['direct_ms']:.2f} ({added:+.2f} ms)",
        f"{max(fair.came) * _SERVERS / sum(fair.came):.2f}, {max(fair.peak)} at once",
        f"{dead.took['lost']} lost, {dead.took['s'] / _bound_s(requests, [run_s] * 2):.2f}",
        f"{slow.took['s'] / _bound_s(requests, [run_s, run_s, run_s * _SLOW]):.2f}, "
        f"p95 {slow.took['p95_ms'] / 1000 / run_s:.1f}",
        f"{slow.came[2] / sum(slow.came):.1%}",
    ]


def _bound_s(requests: int, runs_s: Sequence[float]) -> float:
    """Return how long all requests take at least, by slots that are never idle, or by the tasks that ask."""
    slots = sorted([*runs_s] * _CAPACITY)[:_TASKS]
    return requests / sum(1 / run_s for run_s in slots)


HEAD = [
    "router",
    "request time / SDK alone",
    "busiest server / fair share",
    "one of three dead: requests lost, time / bound",
    "one of three 10 times as slow: time / bound, p95 / a fast request",
    "sent to the slow one",
]


def _litellm_python(given: str | None) -> str | None:
    """Return a Python with LiteLLM, which is installed if need be; None if it cannot be."""
    if given:
        return given
    python = _VENV / "bin" / "python"
    if not python.exists():
        print(f"making {_VENV} with {LITELLM}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
    made = subprocess.run([str(python), "-m", "pip", "install", "-q", LITELLM], capture_output=True, text=True)
    if made.returncode:
        print(f"LiteLLM cannot be installed here: {made.stderr.strip().splitlines()[-1]}")
        return None
    return str(python)


def _release(python: str) -> str:
    code = "from importlib.metadata import version; print(version('litellm'), version('openai'))"
    litellm, openai = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return f"LiteLLM {litellm} with openai {openai}"


def main() -> None:
    """Run all of it, and print the table."""
    asked = options(
        __doc__,
        "a tenth of the requests",
        only=("", "routers whose name has this in it"),
        litellm=(str, "the Python of an environment that has LiteLLM"),
        write=(False, f"into {PAGE.relative_to(ROOT)}"),
    )
    other = _litellm_python(asked.litellm)
    found = []
    for router in (name for name in ROUTERS if asked.only in name):
        python = other if router.startswith("LiteLLM") else sys.executable
        if python is not None:
            found.append(_row(python, router, 0.1 if asked.short else 1.0))
            print(" | ".join(found[-1]), flush=True)
    size = "A short run, a tenth of the requests" if asked.short else "A full run"
    said = f"{size}; {_release(other) if other else 'LiteLLM could not be installed'}."
    text = "\n".join([*markdown(" | ".join(HEAD), found), "", said])
    print(text)
    if asked.write:
        write_between(PAGE, BEGIN, text)


if __name__ == "__main__":
    main()
