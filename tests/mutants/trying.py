"""A pytest plugin that tries changes: it collects the tests once, and forks a process for each change.

In that process the code of the changed module is put in the place of the old one, and the tests that come to the
changed line run, the fastest first, until one fails. Before, each file of tests runs once, and it is written down which
of its tests come to which lines. Processes that tests start by a command have no change.
"""

import ast
import gc
import hashlib
import importlib
import json
import mmap
import os
import resource
import select
import signal
import sys
import time
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import accumulate, compress, count
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.mutants.changes import changes
from tests.mutants.mutant import ROOT
from tests.patience import stretched

__all__ = ["ROOMS", "Drawn", "Tried", "Trying", "modules"]

ROOMS = ("core", "cluster", "shells", "judging", "pipeline/round", "sandbox/local", "proxy", "settings")

_FOLDER = ROOT / "mutants"
_TOOL = 4  # of sys.monitoring
_PROCESSES = 2
# All tests of one change together, as they took without it; a line of the core has thousands of tests.
_ALL_S = 20.0
_ONE_S, _TIMES = 1.5, 10.0  # a test may take so long, and so many times what it took without the change
# The one who records is an exception at any depth to these tests. They are tried last, for each line of the shells.
_NOT_RECORDED = "tests/threads/test_any_depth.py"
_FIRST_S, _RECORDED_S = 30.0, 300.0
_MEMORY = 8 << 30  # bytes; a loop without an end must not take all
_PASSED, _FAILED, _NEXT = b".", b"f", b"n"  # what a process says: all passed; one failed; the next one begins


@dataclass(frozen=True, slots=True)
class Drawn:
    """One change to try: the file, from the top of the tree, and which of its `changes`."""

    file: str
    number: int


@dataclass(frozen=True, slots=True)
class Tried:
    """How a change ended: whether it was found, and by what; if it was not, `by` says what else is known."""

    found: bool
    by: str


@dataclass(slots=True)
class _Ran:
    """What a test did without any change: in how many seconds, whether it passed, and the lines that it came to."""

    seconds: float = 0.0
    passed: bool = True
    lines: dict[str, list[int]] = field(default_factory=dict)


def modules(rooms: Iterable[str] = ROOMS) -> list[Path]:
    """Return the files that are changed."""
    return sorted(file for room in rooms for file in (ROOT / "balancer" / room).rglob("*.py"))


def _code_within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_within(constant)


def _functions() -> dict[CodeType, list[FunctionType]]:
    """Return the functions of all modules that are changed, by code."""
    files = {str(file) for file in modules()}
    for file in modules():
        importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    found: dict[CodeType, list[FunctionType]] = {}
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename in files:
            found.setdefault(each.__code__, []).append(each)
    return found


def _put_in(change: Drawn, functions: dict[CodeType, list[FunctionType]]) -> None:
    """Give all functions of a file the code of its changed source."""
    path = ROOT / change.file
    tree = ast.parse(path.read_text(encoding="utf-8"))
    list(changes(tree))[change.number].make()
    code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    new = {(each.co_qualname, each.co_firstlineno, each.co_freevars): each for each in _code_within(code)}
    for old, those in functions.items():
        other = new.get((old.co_qualname, old.co_firstlineno, old.co_freevars))
        if old.co_filename == str(path) and other is not None:
            for function in those:
                function.__code__ = other


def _forked(act: Callable[[Callable[[bytes], object]], object], limits_s: Sequence[float]) -> tuple[bytes, int]:
    """Call `act` in a process of its own. It tells when each test begins, and how it ended.

    Returns:
        how it ended (b"": it died or a test took longer than its limit), and the number of the last test.
    """
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            for descriptor in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            act(lambda word: os.write(there, word))
        finally:
            os._exit(1)
    os.close(there)
    last, word = -1, _NEXT
    while word == _NEXT:
        limit_s = stretched(_FIRST_S) if last < 0 else limits_s[last]
        word = os.read(here, 1) if select.select([here], [], [], limit_s)[0] else b""
        last += word == _NEXT
    os.close(here)
    for end in (os.killpg, os.kill):  # what the tests have started as well
        with suppress(ProcessLookupError):
            end(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return word, last


class _Run:
    """Runs tests, in this process."""

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        self._items = items
        self._failed = False

    def __iter__(self) -> Iterator[tuple[pytest.Item, Callable[[], bool]]]:
        """Yield each test with a function that runs it, and returns whether it passed."""
        self._items[0].config.pluginmanager.register(self)
        for item, following in zip(self._items, [*self._items[1:], None], strict=True):
            yield item, partial(self._passes, item, following)

    def _passes(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        self._failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return not self._failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that something failed."""
        self._failed |= report.failed


class _Recorder:
    """Which tests come to which lines. It runs each file of tests in a process, and keeps what it found in a file."""

    def __init__(self, functions: Iterable[CodeType]) -> None:
        self._codes = [each for code in functions for each in _code_within(code)]
        lengths = {str(file): len(file.read_bytes().splitlines()) + 1 for file in modules()}
        self._first = dict(zip(lengths, accumulate(lengths.values(), initial=0), strict=False))
        self._length = sum(lengths.values())
        self._came_to: mmap.mmap
        self._sources = hashlib.sha256(b"".join(file.read_bytes() for file in modules())).digest()

    def kept(self, items: Sequence[pytest.Item]) -> Path:
        """Return the file for the tests of one file, as all of them are now."""
        tests = items[0].path.read_bytes() + repr([item.nodeid for item in items]).encode()
        return _FOLDER / f"{items[0].path.stem}-{hashlib.sha256(self._sources + tests).hexdigest()[:20]}.json"

    def record(self, items: Sequence[pytest.Item], kept: Path) -> bool:
        """Run the tests of one file, unless that was done. Return whether they came to an end."""
        if not kept.exists():
            _forked(partial(self._record, items, kept), [_RECORDED_S] * len(items))
        return kept.exists()

    def _record(self, items: Sequence[pytest.Item], kept: Path, tell: Callable[[bytes], object]) -> None:
        # A byte for each line, shared with forked children, and with no other process that records.
        self._came_to = mmap.mmap(-1, self._length)
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "mutants")
        monitoring.register_callback(_TOOL, monitoring.events.LINE, self._came)
        for code in () if items[0].nodeid.startswith(_NOT_RECORDED) else self._codes:
            monitoring.set_local_events(_TOOL, code, monitoring.events.LINE)
        ran: dict[str, _Ran] = {}
        for item, passes in _Run(items):
            tell(_NEXT)
            self._came_to[:] = bytes(len(self._came_to))
            monitoring.restart_events()
            began_s = time.perf_counter()
            passed = passes()
            ran[item.nodeid] = _Ran(time.perf_counter() - began_s, passed, self._lines())
        part = kept.with_suffix(".part")
        part.write_text(json.dumps({name: asdict(each) for name, each in ran.items()}))
        part.rename(kept)
        tell(_PASSED)

    def _came(self, code: CodeType, line: int) -> Any:
        self._came_to[self._first[code.co_filename] + line] = 1
        return sys.monitoring.DISABLE  # until the next test

    def _lines(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        files, firsts = list(self._first), list(self._first.values())
        for at in compress(count(), self._came_to[:]):
            file = bisect_right(firsts, at) - 1
            found.setdefault(os.path.relpath(files[file], ROOT), []).append(at - firsts[file])
        return found


def _in_turn(jobs: int, work: Callable[[int], Any]) -> Iterator[tuple[int, Any]]:
    """Do the jobs 0, 1, ... in some processes, and yield what each returned, as soon as it has."""
    queue, put = os.pipe()
    answers, answer = os.pipe()
    os.write(put, b"".join(job.to_bytes(4) for job in range(jobs)))
    os.close(put)
    for _ in range(_PROCESSES):
        if os.fork() == 0:
            try:
                while word := os.read(queue, 4):
                    job = int.from_bytes(word)
                    os.write(answer, json.dumps([job, work(job)]).encode() + b"\n")
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
    os.close(answer)
    with os.fdopen(answers) as lines:
        for line in lines:
            job, said = json.loads(line)
            yield job, said
    for _ in range(_PROCESSES):
        os.wait()


class Trying:
    """The plugin: instead of running the tests, it tries changes with them.

    Args:
        drawn: the changes.
        tell: called with each as soon as it is tried.
    """

    def __init__(self, drawn: Sequence[Drawn], tell: Callable[[Drawn, Tried], object]) -> None:
        self._drawn = drawn
        self._tell = tell
        self._tests: dict[tuple[str, int], list[str]] = {}
        self._seconds: dict[str, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Record which tests come to which lines, then try all changes."""
        _FOLDER.mkdir(exist_ok=True)
        self._items = {item.nodeid: item for item in session.items}
        self._functions = _functions()
        gc.freeze()
        self._record()
        for job, said in _in_turn(len(self._drawn), lambda job: asdict(self._tried(self._drawn[job]))):
            self._tell(self._drawn[job], Tried(**said))
        return True

    def _record(self) -> None:
        files: dict[Path, list[pytest.Item]] = {}
        for item in self._items.values():
            files.setdefault(item.path, []).append(item)
        recorder = _Recorder(self._functions)
        each = [(items, recorder.kept(items)) for items in files.values()]
        ended = dict(_in_turn(len(each), lambda job: recorder.record(*each[job])))
        for job, (items, kept) in enumerate(each):
            if not ended.get(job):
                print(f"not used, as it did not end without a change: {items[0].path.relative_to(ROOT)}")
                continue
            for name, said in json.loads(kept.read_text()).items():
                ran = _Ran(**said)
                if not ran.passed:
                    print(f"not used, as it fails without a change: {name}")
                    continue
                self._seconds[name] = ran.seconds
                for file, lines in ran.lines.items():
                    for line in lines:
                        self._tests.setdefault((file, line), []).append(name)

    def _tried(self, change: Drawn) -> Tried:
        around = list(changes(ast.parse((ROOT / change.file).read_text(encoding="utf-8"))))[change.number].lines
        names = next(filter(None, (self._that_come_to(change.file, lines) for lines in around)), [])
        if not names:
            return Tried(False, "no test comes there")
        limits_s = [stretched(_ONE_S) + _TIMES * self._seconds[name] for name in names]
        end, last = _forked(partial(self._try, change, names), limits_s)
        if end == _PASSED or last < 0:  # what cannot be tried is not found
            return Tried(False, f"{len(names)} tests come there" if end == _PASSED else "it cannot be tried")
        return Tried(True, names[last] if end == _FAILED else f"its end or its time: {names[last]}")

    def _try(self, change: Drawn, names: Sequence[str], tell: Callable[[bytes], object]) -> None:
        _put_in(change, self._functions)
        for _, passes in _Run([self._items[name] for name in names]):
            tell(_NEXT)
            if not passes():
                tell(_FAILED)
                return
        tell(_PASSED)

    def _that_come_to(self, file: str, lines: range) -> list[str]:
        """Return the tests that come to some lines, the fastest first, as many as there is time for."""
        names = {name for line in lines for name in self._tests.get((file, line), ())}
        fastest = sorted(names, key=lambda name: (self._seconds[name], name))
        until_s = accumulate(self._seconds[name] for name in fastest)
        chosen = [name for name, s in zip(fastest, until_s, strict=True) if s <= _ALL_S] or fastest[:1]
        if chosen and file.startswith("balancer/shells/"):
            chosen += [name for name in self._seconds if name.startswith(_NOT_RECORDED)]
        return chosen
