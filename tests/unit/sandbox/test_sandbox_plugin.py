"""What the sandbox offers to the plugin manager."""

import sys

import pluggy
import pytest
import typer
from typer.testing import CliRunner

from balancer.errors import ConfigError, MissingExtra
from balancer.hookspecs import PROJECT, HookSpecs
from balancer.program import ExecutorOptions
from balancer.sandbox import local
from balancer.sandbox.server import command as commands
from balancer.sandbox.server.handler import ServerSettings
from balancer.sandbox.servers import fusion


def manager() -> pluggy.PluginManager:
    plugins = pluggy.PluginManager(PROJECT)
    plugins.add_hookspecs(HookSpecs)
    plugins.register(fusion)
    plugins.register(local)
    plugins.register(commands)
    plugins.check_pending()
    return plugins


def command_line() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    manager().hook.balancer_commands(app=app)
    return app


def test_the_command_names_the_extra_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"^\"balancer sandbox\" needs the extra 'serve' \(missing: uvicorn\): "):
        CliRunner().invoke(command_line(), ["sandbox"], catch_exceptions=False)


def test_an_http_executor_names_the_extra_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    ((http,),) = [offered for offered in manager().hook.balancer_executors() if offered[0].schemes[0] == "http"]
    with pytest.raises(MissingExtra, match=r"needs the extra 'pipeline' \(missing: aiohttp\): "):
        http.make("http://a/", ExecutorOptions())


def test_a_port_that_cannot_be_used_is_named(monkeypatch):
    def serve(*arguments: object) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr("balancer.sandbox.server.app.serve", serve)
    with pytest.raises(ConfigError, match=r"^cannot listen on 127\.0\.0\.1 port 7: Address already in use; choose"):
        CliRunner().invoke(command_line(), ["sandbox", "--port", "7"], catch_exceptions=False)


def test_the_command_passes_its_options_on(monkeypatch):
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr("balancer.sandbox.server.app.serve", lambda *arguments: seen.append(arguments))
    options = ["--port", "0", "--host", "::1", "--workers", "3", "--isolation", "rlimits", "--queue", "7"]
    environment = {"BALANCER_SANDBOX_TOKEN": "a-token-of-32-characters-or-so.."}
    assert CliRunner().invoke(command_line(), ["sandbox", *options], env=environment).exit_code == 0
    settings = ServerSettings(workers=3, queue=7, token="a-token-of-32-characters-or-so..")
    assert seen == [("::1", 0, "rlimits", settings)]
    assert "a-token" not in repr(seen)


def test_a_token_that_cannot_be_used_is_named_and_not_shown(tmp_path):
    file = tmp_path / "token"
    for text in ("short", "with a space and long enough", "ümlaut-and-long-enough"):
        file.write_text(text)
        with pytest.raises(ConfigError, match=f"^{file}: the token has|token from {file}: ") as caught:
            CliRunner().invoke(command_line(), ["sandbox", "--token-file", str(file)], catch_exceptions=False)
        assert text not in str(caught.value)
