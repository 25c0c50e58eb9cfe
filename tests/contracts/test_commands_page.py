"""docs/commands.md names every command with all of its options and their defaults, and no other."""

import re
import shlex

import pytest
from typer.main import get_command

from balancer.commands.app import make_app
from balancer.plugins.registry import Registry
from tests.contracts.documents import ROOT, rows

_PAGE = ROOT / "docs" / "commands.md"
_OPTION = re.compile(r"`(--[a-z0-9-]+)`(?: \(([^)]+)\))?")
_COMMAND = get_command(make_app(Registry(group=None)))


def _options(command):
    """Return the options of a command, each with its default; "": it has none."""
    return {
        name: "" if option.default in (None, False) else str(option.default)
        for option in command.params
        for name in option.opts
        if name.startswith("--") and name != "--json"
    }


def test_every_command_is_named():
    named = [re.match(r"`balancer ([a-z]+)", row[0]) for row in rows(_PAGE, "The command")]
    assert sorted(each[1] if each else "?" for each in named) == sorted(_COMMAND.commands)


def test_every_option_is_named_with_its_default():
    told = {
        command: dict(_OPTION.findall(text))
        for names, text in rows(_PAGE, "Options")
        for command in re.findall(r"`(\w+)`", names)
    }
    assert told == {name: _options(command) for name, command in _COMMAND.commands.items()}


@pytest.mark.parametrize("name", _COMMAND.commands)
def test_help_ends_with_an_example_that_is_right(name):
    command = _COMMAND.commands[name]
    program, said, *arguments = shlex.split(command.epilog.removeprefix("Example: "))
    assert (program, said) == ("balancer", name)
    command.make_context(name, arguments, obj=Registry(group=None))  # raises, if an option or argument is wrong


def test_no_command_is_outside_the_groups():
    groups = {name: each.rich_help_panel for name, each in _COMMAND.commands.items()}
    assert {*groups.values()} == {"Pool", "Judging", "Planning", "Servers"}, groups


def test_what_prints_json_is_said():
    (line,) = re.findall(
        r"^With `--json`, the commands (.+?)\sprint", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    prints = [
        name for name, each in _COMMAND.commands.items() if any("--json" in option.opts for option in each.params)
    ]
    assert sorted(re.findall(r"`(\w+)`", line)) == sorted(prints)
