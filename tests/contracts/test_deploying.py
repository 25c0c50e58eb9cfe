"""The files for containers, Kubernetes and systemd say what the commands take, and what the server sets."""

import json
import re
import shlex
from itertools import chain

import pytest
import yaml
from typer.main import get_command

from balancer.commands.app import make_app
from balancer.plugins.registry import default_registry
from tests.contracts.documents import ROOT

_KUBERNETES = sorted((ROOT / "examples/kubernetes").glob("*.yaml"))
_UNITS = sorted((ROOT / "examples/systemd").glob("*.service"))
_SOURCES = [*chain(*((ROOT / part).rglob("*.py") for part in ("balancer", "strategies", "simulator")))]


def _containers(file):
    for each in yaml.safe_load_all(file.read_text()):
        if each["kind"] in ("StatefulSet", "Deployment"):
            yield from each["spec"]["template"]["spec"]["containers"]


def _command_lines():
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    yield from map(json.loads, re.findall(r"^CMD (\[.*\])", dockerfile, re.MULTILINE))
    for file in _KUBERNETES:
        yield from (each["args"] for each in _containers(file))
    for file in _UNITS:
        (line,) = re.findall(r"^ExecStart=\S*/balancer (.*)", file.read_text(), re.MULTILINE)
        yield shlex.split(line.replace("${CREDENTIALS_DIRECTORY}", "/run"))


@pytest.mark.parametrize("words", list(_command_lines()), ids=" ".join)
def test_a_command_line_is_one_of_balancer(words):
    command = get_command(make_app(default_registry()))
    name, *rest = words
    subcommand = command.commands[name]
    subcommand.make_context(name, rest)  # raises where it takes no such option or value


@pytest.mark.parametrize("file", _KUBERNETES, ids=lambda file: file.name)
def test_what_a_pod_is_told_by_its_environment_is_read(file):
    sources = "".join(each.read_text() for each in _SOURCES)
    for container in _containers(file):
        for variable in container["env"]:
            assert f'"{variable["name"]}"' in sources, variable


def test_an_image_has_the_version():
    from balancer import __version__

    for file in _KUBERNETES:
        for container in _containers(file):
            assert container["image"].endswith(f":{__version__}"), "a new version is a new image"
