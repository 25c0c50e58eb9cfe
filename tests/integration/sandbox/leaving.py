"""Two programs: one leaves something behind in a sandbox, the other looks for it.

    python -m tests.integration.sandbox.leaving ISOLATION [--served] [WAY ...]

Both programs have the text of all ways, and their input says what to do.
So they have the same source, or, with a comment, another one. As a command it prints what was found, for a test that
runs it as another user.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass

from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.servers.fusion import FusionExecutor
from tests.integration.sandbox.ways import COMMON, WAYS
from tests.servers import running_server

__all__ = ["Found", "executor_of", "found_of", "survey"]

Run = Callable[[Program, bytes, Mapping[str, bytes]], Execution]

_LIMITS = Limits(cpu_s=20.0, wall_s=200.0, processes=64)

# Each step has a process of its own, so that one that fails stops no other. Its error goes through a pipe.
_SOURCE = f"""
import json
{COMMON}
WAYS = {WAYS!r}
def step(way, name):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            space = dict(globals())
            exec(WAYS[way], space)
            answer = space[name]()
        except BaseException as error:
            answer = f"{{type(error).__name__}}: {{error}}"
        os.set_inheritable(writer, False)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 65536)
    os.waitpid(child, 0)
    os.close(reader)
    return json.loads(answer or b'"ended"')
steps, ways = json.loads(os.pread(0, 65536, 0))
print(json.dumps([{{way: step(way, name) for way in ways}} for name in steps]))
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one way.

    Attributes:
        refused: why nothing could be left; "" if something was.
        own: whether it was found in the run that left it.
        same, other: whether a run after it found it, with the same source and with another one.
        words: what the looks said.
    """

    refused: str
    own: bool
    same: bool
    other: bool
    words: str = ""


def survey(run: Run, ways: list[str]) -> dict[str, Found]:
    """Leave something in all `ways` in one run, then look for it in two others."""

    def told(steps: list[str], source: str = _SOURCE) -> list[dict[str, object]]:
        done = run(Program("python", source), json.dumps([steps, ways]).encode(), {})
        assert (done.status, done.exit_code) == (Status.FINISHED, 0), done
        answers: list[dict[str, object]] = json.loads(done.stdout)
        return answers

    left, own = told(["leave", "look"])
    (same,) = told(["look"])
    (other,) = told(["look"], f"{_SOURCE}# another")
    return {
        way: Found(
            str(left[way] or ""), own[way] is True, same[way] is True, other[way] is True, f"{own[way]}, {same[way]}"
        )
        for way in ways
    }


@contextmanager
def executor_of(isolation: str, *, served: bool) -> Iterator[Run]:
    """Make a function that runs programs, in this process or by a server with one worker."""
    if not served:
        with closing(LocalExecutor("local://left", ExecutorOptions(isolation=isolation))) as local:
            yield lambda program, stdin, files: local.run(program, stdin, _LIMITS, files)
        return
    with running_server(isolation=isolation, workers=1) as server, closing(FusionExecutor(server.url)) as remote:
        yield lambda program, stdin, files: remote.run(program, stdin, _LIMITS, files)


def found_of(isolation: str, ways: list[str], *, served: bool, together: bool) -> dict[str, Found]:
    """Survey `ways`, in one sandbox together or each in one of its own."""
    with executor_of(isolation, served=served) as run:
        if together:
            return survey(run, ways)
        return {way: found for each in ways for way, found in survey(run, [each]).items()}


def main() -> None:
    """Print what was found of each way as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("isolation")
    parser.add_argument("--served", action="store_true")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("ways", nargs="*")
    asked = parser.parse_args()
    found = found_of(asked.isolation, asked.ways or [*WAYS], served=asked.served, together=asked.together)
    print(json.dumps({way: asdict(each) for way, each in found.items()}))


if __name__ == "__main__":
    main()
