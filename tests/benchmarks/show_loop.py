"""The loop over rows of many schemas, with a model that is slow and often wrong: what each round brings, what is lost.

    python -m tests.benchmarks.show_loop [--short] [--takes-s 12] [--keep FOLDER]

The rows are those of `examples/rows`, each in the schema of another data set. The model is a server whose answers are
those of the scripted one, spoilt in turn as a strong model's are: an answer without JSON, one that was cut off, inputs
that are not valid, a validator that refuses everything. Each answer takes `--takes-s` seconds. Shown are the rates
after each round, whether an answer was paid for and lost, and the longest time without a line of progress.
"""

import base64
import json
import pickle
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console

from balancer.pipeline.llm.scripted import answer_to
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.scores import Rate
from balancer.pipeline.running.run import run_pipeline
from balancer.plugins.registry import default_registry
from balancer.settings.config import parse_config
from tests.benchmarks.harness import ROOT, options, show

_MODEL = ROOT / "examples" / "rows" / "model"
_NAMES: Final = {1: "py2", 2: "cpp", 3: "py3", 4: "java"}  # CodeContests' languages in CodeContests+
_PLAIN: Final = {"py2": "python2", "py3": "python"}
_WAITING = "waiting for the model"
_SPOILT = ("", "prose", "", "inputs", "", "validator", "", "cut")  # in turn, over all answers


# -- rows ----------------------------------------------------------------------------------------------


def in_schema(row: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """Return a row of CodeContests in one of six schemas."""
    tests = [
        (given, wanted)
        for kind in ("public", "private")
        for given, wanted in zip(row[f"{kind}_tests"]["input"], row[f"{kind}_tests"]["output"], strict=True)
    ]
    listed = [{"input": given, "output": wanted} for given, wanted in tests]
    table = json.dumps({"inputs": [given for given, _ in tests], "outputs": [wanted for _, wanted in tests]})
    right, wrong = _programs(row["solutions"]), _programs(row["incorrect_solutions"])
    more = {
        name: [{"language": _PLAIN.get(each["language"], each["language"]), "source": each["code"]} for each in found]
        for name, found in (("right", right), ("wrong", wrong))
    }
    name, statement = row["name"], row["description"]
    packed = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(listed[1:])))).decode()
    made: tuple[Mapping[str, Any], ...] = (
        row,
        {"id": name, "description": statement, "test_cases": listed, "correct_submissions": right,
         "incorrect_submissions": wrong, "time_limit": 2000},
        {"name": name, "question": statement, "solutions": "[]", "input_output": table, **more},
        {"question_id": name, "question_content": statement, "public_test_cases": json.dumps(listed[:1]),
         "private_test_cases": packed, "metadata": "{}", **more},
        {"id": name, "description": statement, "examples": listed[:1], "official_tests": listed[1:], **more},
        {"data_source": name, "prompt": [{"role": "user", "content": statement}], "ability": "code",
         "reward_model": {"ground_truth": table}, "extra_info": {}, **more},
    )  # fmt: skip
    return made[number % len(made)]


def _programs(solutions: Mapping[str, Any]) -> list[dict[str, str]]:
    pairs = zip(solutions["language"], solutions["solution"], strict=True)
    return [{"language": _NAMES[number], "code": source} for number, source in pairs]


# -- the model -----------------------------------------------------------------------------------------


class _Model:
    """Answers as the scripted model does, slowly, and spoils some of the answers."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.served = 0
        self._numbers = count()
        self._lock = threading.Lock()

    def answer(self, question: str) -> str:
        with self._lock:
            spoilt = _SPOILT[next(self._numbers) % len(_SPOILT)]
        time.sleep(self.takes_s)
        found = answer_to(question, _MODEL)
        if spoilt == "inputs":
            found["inputs"] = [*found.get("inputs", []), "no input\n", "\n", "-1 -1 -1\n"]
        if spoilt == "validator":
            found["validator"] = {"language": "python", "source": "import sys\nsys.exit(43)\n"}
        text = json.dumps(found)
        with self._lock:
            self.served += 1
        return {"prose": "I would try large inputs.", "cut": text[: len(text) // 2]}.get(spoilt, text)


@contextmanager
def _served(model: _Model) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = model.answer(asked["messages"][1]["content"])
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            usage = {"prompt_tokens": 1, "completion_tokens": len(text) // 4, "total_tokens": 1 + len(text) // 4}
            body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "usage": usage}
            data = json.dumps({**body, "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/"
    finally:
        server.shutdown()
        server.server_close()


class _Timed(StringIO):
    """Keeps the time of each line that is printed."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def write(self, text: str) -> int:
        if text.strip():
            self.times.append(time.monotonic())
        return super().write(text)


# -- the run -------------------------------------------------------------------------------------------


def run(folder: Path, rows: int, wrong: int, takes_s: float) -> tuple[RunResult, _Model, _Timed]:
    """Take the first rows of the examples through the loop."""
    lines = (ROOT / "examples/rows/rows.jsonl").read_text().splitlines()[:rows]
    made = [in_schema(json.loads(line), number) for number, line in enumerate(lines)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    model, said = _Model(takes_s), _Timed()
    with _served(model) as url:
        config = parse_config(
            {
                "endpoints": [{"url": "local://{1..2}/"}],
                "pipeline": {
                    "problems": str(folder / "rows.jsonl"),
                    "results": str(folder / "results"),
                    "generators": ["data", "llm"],
                    "max_rounds": 3,
                    "rows": {"right": 3, "wrong": wrong},
                },
                "llm": {"model": "m", "attempts": 3, "endpoints": [{"url": url, "capacity": 4}]},
            },
            file="show_loop",
            environ={},
        )
        found = run_pipeline(config, default_registry(), Console(file=said, width=200))
    return found, model, said


def _shown(rate: Rate | None) -> str:
    return "-" if rate is None else f"{rate.value:.1%}"


def main() -> None:
    """Run and print."""
    asked = options(
        __doc__,
        "three rows, and four wrong programs of each",
        takes_s=(12.0, "seconds of an answer"),
        keep=(Path, "a folder for the results, to look at them"),
    )
    with TemporaryDirectory(prefix="balancer-bench-") as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found, model, said = run(folder, 3 if asked.short else 8, 4 if asked.short else 8, asked.takes_s)
    rates = []
    for each in found.scores:
        when = f"round {each.rounds - 1}" if each.rounds else "own data"
        told = map(_shown, (each.tpr_micro, each.tnr_micro, each.accuracy))
        rates.append((when, *told, each.spent.questions, f"{each.spent.seconds:.0f}"))
    show("cases of | accepted kept | wrong rejected | verifier accuracy | answers | s of the model", rates, "By round")
    stored = sum(each.spent.questions for each in found.scores)
    gaps = [later - earlier for earlier, later in pairwise(said.times)]  # from the first line on
    waiting = said.getvalue().count(_WAITING)
    lines = [
        ("rows", f"{found.totals.problems} judged, {found.rows_left_out} left out"),
        ("answers", f"{model.served} served, {stored} kept: {model.served - stored} lost"),
        ("lines of progress", f"{waiting} say that it waits for the model; the longest pause is {max(gaps):.1f} s"),
    ]
    show("what | measured", lines, "Nothing is lost", words=2)
    assert model.served == stored, "an answer was paid for and lost"
    assert found.complete, "the run is not complete"


if __name__ == "__main__":
    main()
