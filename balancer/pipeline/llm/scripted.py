"""Scripted model server: has OpenAI's API, and answers from files. For trials without a model.

It finds the answer by the problem and the round in the question.

A folder of answers has a folder for each problem, with a file `rounds.toml`. The file has a table `[[rounds]]` for each
round, with `commands`, `inputs` and `aimed` as in an answer. Its table `[programs]` names the files, in Python, of the
generator, the validator and the checker, which come with the first answer.
"""

import json
import re
import socket
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from balancer.errors import ConfigError

__all__ = ["answer_to", "scripted_app", "scripted_server"]

_PROBLEM = re.compile(r"^# The problem: (.+)$", re.MULTILINE)
_ROUND = re.compile(r"^## What your inputs did \(round (\d+)\)$", re.MULTILINE)
_START_S = 10.0


def answer_to(question: str, folder: Path) -> dict[str, Any]:
    """Return the answer to `question`; without inputs if there is none for its problem and round."""
    problem, round = _PROBLEM.search(question), _ROUND.search(question)
    number = int(round[1]) if round else 0
    answers = _answers(folder / problem[1].strip()) if problem else ()
    return dict(answers[number]) if number < len(answers) else {"inputs": []}


@lru_cache(maxsize=256)
def _answers(home: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        script = tomllib.loads((home / "rounds.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    programs = {
        name: {"language": "python", "source": (home / file).read_text(encoding="utf-8")}
        for name, file in script.get("programs", {}).items()
    }
    first, *later = script["rounds"]
    return ({**first, **programs}, *later)


def scripted_app(folder: Path) -> Starlette:
    """Return the server as an application."""

    async def complete(request: Request) -> Response:
        body = json.loads(await request.body())
        question = next(each["content"] for each in body["messages"] if each["role"] == "user")
        text = json.dumps(await run_in_threadpool(answer_to, question, folder))
        usage = {"prompt_tokens": len(question) // 4, "completion_tokens": len(text) // 4}
        message = {"role": "assistant", "content": text, "refusal": None}
        return JSONResponse(
            {
                "id": "scripted",
                "object": "chat.completion",
                "created": 0,
                "model": body.get("model", "scripted"),
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {**usage, "total_tokens": sum(usage.values())},
            }
        )

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])


@contextmanager
def scripted_server(folder: Path) -> Iterator[str]:
    """Serve the answers of `folder` on a free port of this machine, and yield the base URL.

    Raises:
        ConfigError: the folder is missing, or the server does not start.
    """
    if not folder.is_dir():
        raise ConfigError(f"llm.scripted: {folder}: no such folder; name one with a folder of answers for each problem")
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(scripted_app(folder), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), name="scripted model", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/"
    finally:
        server.should_exit = True
        thread.join(_START_S)
        listening.close()
