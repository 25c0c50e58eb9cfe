"""Commands, run as by a shell."""

import pytest

from balancer.commands import app as cli


@pytest.fixture
def command(monkeypatch, capsys):
    """Return what runs a command and returns its exit code, and what it said on both streams."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["balancer", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return run
