"""Each fault of `tests.faults.proxy`, before each server that has an executor, in a run and in a pipeline.

The servers are the real `balancer sandbox` and the tests' own of the other APIs. Calls get less patience than by
default, so that a silent server costs seconds.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

from rich.console import Console

from balancer.endpoint import outcome_of
from balancer.errors import EndpointError
from balancer.judging import judgements
from balancer.pipeline.results.store import Store
from balancer.pipeline.round import checking
from balancer.pipeline.running.run import run_pipeline
from balancer.plugins.registry import default_registry
from balancer.program import ExecutorOptions, Limits, Program
from balancer.sandbox.http.adapter import ServerExecutor
from balancer.sandbox.servers.fusion import FusionExecutor
from balancer.sandbox.servers.gojudge import GoJudgeExecutor
from balancer.sandbox.servers.judge0 import Judge0Executor
from balancer.sandbox.servers.piston import PistonExecutor
from balancer.settings.config import load_config
from tests.apis.api import serving
from tests.apis.box import Box
from tests.apis.gojudge import GoJudge
from tests.apis.judge0 import Judge0
from tests.apis.piston import Piston
from tests.faults.proxy import FaultProxy
from tests.fusion_like import fusion_like
from tests.integration.pipeline.place import known_in
from tests.servers import running_server

__all__ = ["KINDS", "Kind", "Matrix", "Met", "Ran", "impatient", "tiny_package"]

MARGIN_S = 1.0
_LIMITS = Limits(cpu_s=1.0, wall_s=1.0, output_bytes=2**16)
_PATIENT = Limits(cpu_s=5.0, wall_s=30.0)  # for what must succeed first, on a busy machine
_PYTHON = ExecutorOptions(languages=frozenset({"python"}))
_SEED, _SHARE, _MOST = 10, 0.5, 8  # of the faults in a pipeline
_SILENT = {"hang", "drip", "then-hang"}  # each costs the time that a call may take
_MOST_SILENT = 2
_LATE_S = 0.5
_FILES = {
    "problem.yaml": "name: Sum\nlimits: {time_limit: 0.5}\nvalidation: default\n",
    "input_validators/validate.py": "import sys\na, b = map(int, sys.stdin.read().split())\nsys.exit(42)\n",
    "submissions/accepted/right.py": "print(sum(map(int, input().split())))\n",
    "submissions/wrong_answer/wrong.py": "a, b = map(int, input().split())\nprint(abs(a) + abs(b))\n",
    **{
        f"data/secret/{n}.{end}": f"{text}\n"
        for n, (a, b) in enumerate([(1, 2), (5, 7), (4, -9), (20, 22), (-3, -4), (100, 1)])
        for end, text in (("in", f"{a} {b}"), ("ans", f"{a + b}"))
    },
    "data/sample/1.in": "2 3\n",
    "data/sample/1.ans": "5\n",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of server: its scheme, its executor, the request that runs a program, and how one is served."""

    scheme: str
    executor: Callable[..., ServerExecutor]
    runs: tuple[str, str]
    serve: Callable[[], AbstractContextManager[str]]

    def address(self, url: str) -> str:
        """Return the endpoint's URL of a server of this kind at `url`."""
        return f"{self.scheme}{url.removeprefix('http')}"


@contextmanager
def _ours() -> Iterator[str]:
    with running_server(workers=2) as server:
        yield server.url


@contextmanager
def _gojudge() -> Iterator[str]:
    with Box() as box, serving(api := GoJudge(box)) as place:
        yield f"http://{place}/"
        assert not api.files, "what a server kept for us is let go at the end"


@contextmanager
def _judge0() -> Iterator[str]:
    with Box() as box, serving(api := Judge0(box)) as place:
        yield f"http://{place}/"
        api.close()


@contextmanager
def _piston() -> Iterator[str]:
    most = {"run_timeout": 60_000, "run_cpu_time": 20_000, "compile_timeout": 60_000, "compile_cpu_time": 30_000}
    with Box() as box, serving(Piston(box, most, output_bytes=2**24 + 2**17, body_bytes=2**28)) as place:
        yield f"http://{place}/"


_FUSION = ("POST", "/run_code")
KINDS: Mapping[str, Kind] = {
    "balancer sandbox": Kind("http", FusionExecutor, _FUSION, _ours),
    "SandboxFusion": Kind("http", FusionExecutor, _FUSION, fusion_like),
    "go-judge": Kind("gojudge+http", GoJudgeExecutor, ("POST", "/run"), _gojudge),
    "Judge0": Kind("judge0+http", Judge0Executor, ("POST", "/submissions"), _judge0),
    "Piston": Kind("piston+http", PistonExecutor, ("POST", "/api/v2/execute"), _piston),
}


@contextmanager
def impatient() -> Iterator[None]:
    """Have the executors wait for an answer no longer than a program may take, and `MARGIN_S`; a validator gets 4 s."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(ServerExecutor, "margin_s", MARGIN_S))
        for module in (judgements, checking):
            patches.enter_context(patch.object(module, "VALIDATOR_LIMITS", Limits(cpu_s=1.0, wall_s=4.0)))
        yield


def tiny_package(folder: Path) -> None:
    """Write the package `sum`: an accepted and a wrong submission, a validator, seven cases."""
    for name, text in _FILES.items():
        file = folder / "problems" / "sum" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@dataclass(frozen=True, slots=True)
class Met:
    """What a run came to: in `words`, and the `outcome` of its lease."""

    words: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Ran:
    """How a pipeline ended.

    Attributes:
        verdicts: the verdict on each submission and case, and the state of each case.
        unjudged: how many it could not come to: the tasks that were lost.
        ends: how the leases ended of the endpoint behind the proxy.
        faults: how many it committed.
        complete: whether the run was.
    """

    verdicts: dict[tuple[str | int, ...], str]
    unjudged: int
    ends: Counter[str]
    faults: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """The cells of one server. Fields: its `kind`, and its `url`."""

    kind: Kind
    url: str

    def runs(self, fault: str, times: int = 2) -> list[Met]:
        """Run a program so often while every request that runs one meets `fault`; others have run there before."""
        method, path = self.kind.runs

        def only(asked: str, where: str) -> bool:
            return (asked, urlsplit(where).path) == (method, path)

        with FaultProxy(self.url, [fault], only=only, seconds=_LATE_S) as proxy:
            proxy.on = False
            executor = self.kind.executor(self.kind.address(proxy.url), _PYTHON)
            try:
                executor.run(Program("python", "print('theirs')"), b"", _PATIENT, {})
                proxy.on = True
                met = [self._one(executor) for _ in range(times)]
            finally:
                executor.close()
            assert proxy.done[fault] >= 1, f"{fault} was not committed"
        return met

    def _one(self, executor: ServerExecutor) -> Met:
        try:
            done = executor.run(Program("python", "print('mine')"), b"", _LIMITS, {})
        except EndpointError as error:
            return Met(error.reason, outcome_of(error).value)
        words = {b"mine\n": "its own output", b"theirs\n": "the output of another"}
        return Met(words.get(done.stdout, f"{done.status.value}, {done.stdout!r}"), outcome_of(None).value)

    def pipeline(self, folder: Path, *faults: str, verified: bool = False) -> Ran:
        """Judge the tiny package on this server behind a proxy that commits `faults`, and on a sound endpoint.

        With `verified` there are two sound ones, and `[verify]` is as by default; else it is off.
        """
        folder.mkdir(parents=True)
        tiny_package(folder)
        first = _MOST_SILENT if _SILENT.intersection(faults) else _MOST
        with FaultProxy(self.url, faults, share=_SHARE, seed=_SEED, first=first, seconds=_LATE_S) as proxy:
            behind = self.kind.address(proxy.url)
            sound = self.kind.address(self.url)
            urls = {"first": behind, "second": sound} | ({"third": sound} if verified else {})
            endpoints = "".join(
                f'[[endpoints]]\nname = "{name}"\nurl = "{url}"\ncapacity = 1\nlanguages = ["python"]\n'
                for name, url in urls.items()
            )
            verify = "" if verified else "[verify]\nshare = 0\nfirst = 0\n"
            (folder / "c.toml").write_text(
                f'{endpoints}{verify}[pipeline]\nproblems = "{folder}/problems"\nresults = "{folder}/results"\n'
                'generators = ["data"]\nmax_inputs = 0\nmax_rounds = 1\n'
            )
            result = run_pipeline(load_config(folder / "c.toml"), default_registry(), Console(file=StringIO()))
            committed = proxy.done.total()
        known = known_in(folder / "results")
        with Store(folder / "results") as store:
            ends = store.log.rows("SELECT outcome FROM spans WHERE endpoint = 'first'")
        return Ran(
            verdicts={("verdict", *row[1:-1]): row[-1] for row in known["verdicts"]}
            | {("case", row[1]): row[-1] for row in known["cases"]},
            unjudged=result.totals.counts["unjudged"],
            ends=Counter(end for (end,) in ends),
            faults=committed,
            complete=result.complete,
        )
