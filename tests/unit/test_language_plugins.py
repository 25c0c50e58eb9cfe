"""Languages that a third party adds: where they are found, and which are refused."""

import sys
import types

import pytest

from balancer.hookspecs import hookimpl
from balancer.plugins.registry import Registry
from balancer.program import ExecutorOptions, Language, Limits, Program, Status
from balancer.sandbox.languages.known import by_extension
from balancer.sandbox.local.executor import LocalExecutor

SHOUT = Language(
    "shout",
    "main.shout",
    ("sh", "{program}"),
    ("sh", "-c", 'tr a-z A-Z <main.shout | sed "s/.*/echo &/" >"$1"', "compile", "{output}"),
    extensions=(".shout",),
    tools=("sh", "tr", "sed"),
    hello="pong",
)


@pytest.fixture
def offered(request, monkeypatch):
    """A registry with the built-ins and, as a third party's, what the test asks for."""
    module = types.ModuleType("third_party_language")
    module.balancer_languages = hookimpl(lambda: [request.param], specname="balancer_languages")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Registry(modules=["balancer.sandbox.languages.table", module.__name__], group=None)


@pytest.mark.parametrize("offered", [SHOUT], indirect=True)
def test_a_language_of_a_plugin_is_compiled_and_run_like_the_others(offered):
    known = {name: entry.item for name, entry in offered.languages.items()}
    assert {"shout", "cpp", "python"} <= known.keys()
    assert by_extension(known)[".shout"] == "shout"
    executor = LocalExecutor("local://x", ExecutorOptions(known={"shout": SHOUT}))
    try:
        assert not executor.runs("shout")  # its "hello" prints PONG
        ran = executor.run(Program("shout", "hello world"), b"", Limits(), {})
        assert (ran.status, ran.stdout) == (Status.FINISHED, b"HELLO WORLD\n")
    finally:
        executor.close()


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        ("zig", "must be a balancer.program.Language"),
        (Language("a b", "main.x", ("x",)), "has the name 'a b'"),
        (Language("x", "../main.x", ("x",)), "has the file '../main.x'"),
        (Language("x", "main.x", ()), "has no command to run a program"),
        (Language("x", "main.x", "x"), "commands and lists are tuples of strings"),
        (Language("cpp", "main.x", ("x",)), "offers 'cpp'"),
    ],
    indirect=["offered"],
)
def test_what_is_no_language_is_set_aside(offered, reason):
    assert "python" in offered.languages
    assert any(reason in str(broken) for broken in offered.broken), offered.broken
