"""Three servers for the scene of the clients: one dies, one limits, one drips. They speak what the clients need."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["SAID", "three_grpc_servers", "three_servers"]

SAID = "one two three four"
_WORDS = [f"{word} " for word in SAID.split()]
_LIVES, _LIMITED, _DRIP_S, _DRIPS = 3, 4, 0.01, 8
_USED = {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5, "input_tokens": 1, "output_tokens": 4}
_DETAILS = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


def _chat(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": _USED}


def _chat_events() -> Iterator[tuple[str, Any]]:
    for number, word in enumerate(_WORDS):
        end = "stop" if number == len(_WORDS) - 1 else None
        choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": end}
        yield "", {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    yield "", "[DONE]"


def _tool_or_chat(asked: dict[str, Any]) -> dict[str, Any]:
    """Return an answer by the tool that a client wants to be called, if it wants one."""
    if not asked.get("tools"):
        return _chat(json.dumps({"said": SAID}) if asked.get("response_format") else SAID)
    called = {"name": asked["tools"][0]["function"]["name"], "arguments": json.dumps({"said": SAID})}
    answer = _chat("")
    answer["choices"][0]["message"] = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": called}],
    }
    return answer


def _response() -> dict[str, Any]:
    text = {"type": "output_text", "text": SAID, "annotations": [], "logprobs": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    return {
        "id": "r",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": "m",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": _USED | _DETAILS,
    }


def _response_events() -> Iterator[tuple[str, Any]]:
    at = {"item_id": "m", "output_index": 0, "content_index": 0}
    for number, word in enumerate(_WORDS):
        kind = "response.output_text.delta"
        yield kind, {"type": kind, "delta": word, "sequence_number": number, "logprobs": [], **at}
    yield "response.completed", {"type": "response.completed", "sequence_number": 9, "response": _response()}


def _message() -> dict[str, Any]:
    return {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": SAID}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 4},
    }


def _message_events() -> Iterator[tuple[str, Any]]:
    begun = {**_message(), "content": [], "stop_reason": None}
    block = {"index": 0}
    yield "message_start", {"type": "message_start", "message": begun}
    yield "content_block_start", {"type": "content_block_start", "content_block": {"type": "text", "text": ""}, **block}
    for word in _WORDS:
        delta = {"type": "text_delta", "text": word}
        yield "content_block_delta", {"type": "content_block_delta", "delta": delta, **block}
    yield "content_block_stop", {"type": "content_block_stop", **block}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": 4}}
    yield "message_stop", {"type": "message_stop"}


def _content(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]}


def _cohere() -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"type": "text", "text": SAID}]}
    return {"id": "x", "finish_reason": "COMPLETE", "message": message}


def _cohere_events() -> Iterator[tuple[str, Any]]:
    for word in _WORDS:
        said = {"message": {"content": {"text": word}}}
        yield "content-delta", {"type": "content-delta", "index": 0, "delta": said}
    yield "message-end", {"type": "message-end", "id": "x", "delta": {"finish_reason": "COMPLETE"}}


def _file() -> dict[str, Any]:
    return {
        "id": "f",
        "object": "file",
        "bytes": 1,
        "created_at": 0,
        "filename": SAID,
        "purpose": "batch",
        "status": "processed",
    }


def _answer(path: str, asked: dict[str, Any]) -> Any:
    """Return what to answer: an object, or an iterator of events, each a name and an object."""
    streams = bool(asked.get("stream"))
    match path.partition("?")[0].rstrip("/").rpartition("/")[2].rpartition(":")[2]:
        case "completions" if "messages" in asked:
            return _chat_events() if streams else _tool_or_chat(asked)
        case "completions":
            choice = {"index": 0, "text": SAID, "finish_reason": "stop", "logprobs": None}
            return {
                "id": "x",
                "object": "text_completion",
                "created": 0,
                "model": "m",
                "choices": [choice],
                "usage": _USED,
            }
        case "embeddings":
            vector = {"object": "embedding", "index": 0, "embedding": [1.0, 2.0, 3.0, 4.0]}
            return {"object": "list", "model": "m", "data": [vector], "usage": _USED}
        case "responses":
            return _response_events() if streams else _response()
        case "messages":
            return _message_events() if streams else _message()
        case "generateContent":
            return _content(SAID)
        case "streamGenerateContent":
            return (("", _content(word)) for word in _WORDS)
        case "chat":
            return _cohere_events() if streams else _cohere()
        case "files":
            return _file()
        case _:
            return {"said": SAID}


class _Server(ThreadingHTTPServer):
    """One of the servers. `kind`: "dies", "limits" or "drips"; `asked`: how many requests came."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, kind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind, self.asked, self.lock = kind, 0, threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def comes(self) -> int:
        """Count a request, and return how many came before it."""
        with self.lock:
            self.asked += 1
            return self.asked - 1

    def die(self) -> None:
        """Refuse connections from now on."""
        self.socket.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent: clients hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self._body()
        number, kind = self.server.comes(), self.server.kind
        if kind == "dies" and number >= _LIVES:
            self.server.die()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        if kind == "limits" and number < _LIMITED:
            self._send(429, b'{"error": {"message": "slow down"}}', "application/json", "Retry-After: 1\r\n")
            return
        try:
            asked = json.loads(body)
        except ValueError:
            asked = {}
        answer = _answer(self.path, asked if isinstance(asked, dict) else {})
        if isinstance(answer, dict):
            self._send(200, json.dumps(answer).encode(), "application/json")
        else:
            self._send(200, b"".join(_event(name, said) for name, said in answer), "text/event-stream")

    do_GET = do_POST  # noqa: N815 (the library's names)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _send(self, status: int, content: bytes, kind: str, more: str = "") -> None:
        head = f"HTTP/1.1 {status} {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(content)}\r\n\r\n"
        self.wfile.write(head.encode())
        step = -(-len(content) // _DRIPS) if self.server.kind == "drips" else len(content)
        for at in range(0, len(content), step):
            self.wfile.write(content[at : at + step])
            time.sleep(_DRIP_S if self.server.kind == "drips" else 0)

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


def _event(name: str, said: Any) -> bytes:
    text = said if isinstance(said, str) else json.dumps(said)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


@contextmanager
def three_grpc_servers() -> Iterator[list[Any]]:
    """The same for gRPC: a method "/s/say" that answers with the words. No answer drips, but it comes late."""
    import grpc

    class Served:
        def __init__(self, kind: str) -> None:
            self.kind, self.asked, self.lock = kind, 0, threading.Lock()
            self.server = grpc.server(ThreadPoolExecutor(8))
            handler = grpc.unary_unary_rpc_method_handler(self.say)
            self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", {"say": handler}),))
            self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
            self.server.start()

        def say(self, request: bytes, context: Any) -> bytes:
            with self.lock:
                self.asked += 1
            if self.kind == "dies" and self.asked > _LIVES:
                self.server.stop(None)
                context.abort(grpc.StatusCode.UNAVAILABLE, "it ends")
            if self.kind == "limits" and self.asked <= _LIMITED:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
            time.sleep(_DRIP_S * _DRIPS if self.kind == "drips" else 0)
            return SAID.encode()

    servers = [Served(kind) for kind in ("dies", "limits", "drips")]
    try:
        yield servers
    finally:
        for each in servers:
            each.server.stop(None)


@contextmanager
def three_servers() -> Iterator[list[_Server]]:
    """Run the three servers for the length of a `with` block."""
    servers = [_Server(kind) for kind in ("dies", "limits", "drips")]
    try:
        yield servers
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
