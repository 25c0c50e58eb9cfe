"""The `balancer` command in an empty folder, in this process, for tests."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from balancer.commands import app as cli
from balancer.hookspecs import ExecutorPlugin
from balancer.plugins.registry import Registered, Registry
from balancer.program import Execution, ExecutorOptions, Program
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import finished, pong

__all__ = ["Balancer", "Said", "balancer", "fake", "package", "registry"]


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What stands on stderr."""
        return self.err.splitlines()

    @property
    def refusal(self) -> str:
        """What is wrong: the only line on stderr, of a command that ended with 2."""
        assert self.code == 2
        (line,) = self.lines
        assert line.startswith("balancer: ")
        return line.removeprefix("balancer: ")


Balancer = Callable[..., Said]


def fake(url: str, options: ExecutorOptions) -> FakeExecutor:
    """Return an executor on which every program prints 2, every validator accepts, and a ping has its answer."""

    def behave(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        if program.name == "ping":
            return pong(stdin)
        return finished(b"2", 42 if "valid" in program.name else 0)

    return FakeExecutor(behave)


@pytest.fixture
def registry() -> Registry:
    registry = Registry(group=None)
    registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), fake, "in memory"), "tests")
    return registry


@pytest.fixture
def balancer(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Balancer:
    """Return what runs the command in an empty folder, in this process; any exception but an exit is a failure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "default_registry", lambda: registry)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # of what an earlier test left, collected now

    def run(*args: str, config: str | None = None) -> Said:
        if config is not None:
            Path("c.toml").write_text(config)
        monkeypatch.setattr(sys, "argv", ["balancer", *args])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return run


def package(name: str = "two", /, **changes: str | None) -> None:
    """Write a problem whose answer is always 2."""
    files: dict[str, str | None] = {
        "problem.yaml": "name: Two\n",
        "data/sample/1.in": "1\n",
        "data/sample/1.ans": "2\n",
        "input_validators/valid.py": "...",
        "submissions/accepted/two.py": "...",
        "submissions/wrong_answer/two.py": "....",
        **changes,
    }
    for path, text in files.items():
        if text is not None:
            file = Path("problems") / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
