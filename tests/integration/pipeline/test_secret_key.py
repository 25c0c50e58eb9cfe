"""The key of a model's server is in nothing that a run leaves behind or says, whatever the servers do with it."""

import json
import subprocess
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.integration.pipeline.place import Place, new_place
from tests.patience import PATIENCE_S
from tests.unit.llm.served import error, says, serving_model

_KEY = "sk-canary-4b1d0ddba11"
_ROW = {
    "id": "sums",
    "statement": "Add two numbers.",
    "tests": [{"input": "1 2\n", "output": "3\n"}],
    "right": [{"language": "python", "source": "print(sum(map(int, input().split())))\n"}],
    "wrong": [{"language": "python", "source": "print(3)\n"}],
}


def _run(
    place: Place, monkeypatch: pytest.MonkeyPatch, urls: list[str], *args: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with the key in its environment, as a user has it."""
    monkeypatch.setenv("LLM_KEY", _KEY)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    (place.folder / "rows.jsonl").write_text(json.dumps(_ROW))
    servers = "".join(
        f'[[llm.endpoints]]\nurl = "{url}"\nheaders = {{ Authorization = "Bearer ${{LLM_KEY}}" }}\n' for url in urls
    )
    config = f"""[[endpoints]]
url = "local://1"
languages = ["python"]  # else each language that rows may have is tried first
[pipeline]
problems = "rows.jsonl"
results = "results"
generators = ["data", "llm"]
outage_s = 0.0
{servers}
[llm]
model = "m"
[llm.retries]
max_pause_s = 0.02  # it is asked as often as usual, without the waits between
"""
    (place.folder / "c.toml").write_text(config)
    with place.running(*args) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _assert_nowhere(place: Place, ran: subprocess.CompletedProcess[str]) -> None:
    assert _KEY not in ran.stdout + ran.stderr
    files = [file for folder in (place.folder, place.scratch) for file in folder.rglob("*") if file.is_file()]
    assert any(file.name == "report.html" for file in files)
    assert [str(file) for file in files if _KEY.encode() in file.read_bytes()] == []


@pytest.fixture
def place(tmp_path):
    with new_place(tmp_path) as made:
        yield made


def _echo(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
    """Answer with the headers that came."""
    says(json.dumps({"inputs": [f"{value}\n" for value in handler.headers.values()]}))(handler, asked)


def _echo_escaped(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
    says('{"inputs": ["' + "".join(f"\\u{ord(c):04x}" for c in _KEY) + '"]}')(handler, asked)


_GOOD = says('{"inputs": ["3 4\\n"]}')
_QUOTES = f"Incorrect API key provided: {_KEY}. You sent 'Bearer {_KEY}'."


@pytest.mark.more
@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(_GOOD, id="good"),
        pytest.param(_echo, id="echo"),
        pytest.param(_echo_escaped, id="escaped echo", marks=pytest.mark.more),
        pytest.param(error(401, message=_QUOTES), id="401"),
        *(pytest.param(error(n, message=_QUOTES), id=f"{n}", marks=pytest.mark.more) for n in (400, 404, 429, 500)),
    ],
)
def test_a_server_that_quotes_the_key(place, monkeypatch, deed):
    with serving_model([], always=deed) as server:
        ran = _run(place, monkeypatch, [server.url])
    assert ran.returncode == 0, ran.stderr
    assert set(server.keys) == {f"Bearer {_KEY}"}, "the key was sent"
    _assert_nowhere(place, ran)
    notes = json.loads((place.folder / "results/summary.json").read_text())["per_problem"][0]["notes"]
    assert notes or deed is _GOOD, "and people are told"


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ([f"http://me:{_KEY}@h/v1/"], "credentials"),
        ([f"http://{_KEY}@h/v1/"], "credentials"),
        (["http://h/v1/", "http://h/v1"], "twice"),
    ],
)
def test_a_config_that_is_refused(place, monkeypatch, urls, words):
    ran = _run(place, monkeypatch, urls)
    assert ran.returncode == 2
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) <= 2
    assert _KEY not in ran.stdout + ran.stderr
