"""Executor for endpoints with go-judge's API.

It compiles, caches and runs programs, and compiles again if the server has lost one. `wire` writes the requests and
reads the answers.
"""

import contextlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import quote

from balancer.errors import EndpointError, EndpointOverloaded
from balancer.program import Execution
from balancer.sandbox.gojudge.wire import (
    PRINTED_BYTES,
    Cached,
    Content,
    File,
    FileId,
    GoJudgeStatus,
    Result,
    RunAnswer,
    RunRequest,
    compile_request,
    execution_of_result,
    is_altered,
    probe_request,
    refusal_of_result,
    run_request,
)
from balancer.sandbox.http.adapter import PING_BYTES, PING_S, ServerExecutor, ServerRun, json_bytes
from balancer.sandbox.http.builds import PROGRAM, tools_of, utf8_text
from balancer.sandbox.http.client import Body, UnexpectedStatus

__all__ = ["CachedBinaries", "GoJudgeExecutor"]

_DELETE_S = 2.0
_PROBE_S = 10.0
_ANSWER_BYTES = 2**16
_LOST = "does not exist"  # "file does not exists with id: ..."
_FULL = "queue is full"
_MOST_BINARIES = 256

_Made = str | Execution  # the server's name of a program, or the compile error


class CachedBinaries:
    """Compiled programs that a server keeps, by what they are made from. Thread-safe.

    Args:
        drop: deletes one from the server; must not raise.
        most: how many are kept; those used last stay.
    """

    def __init__(self, drop: Callable[[str], object], most: int = _MOST_BINARIES) -> None:
        self._drop = drop
        self._most = most
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._made: OrderedDict[str, _Made] = OrderedDict()

    def get(self, key: str, make: Callable[[], _Made]) -> _Made:
        """Return what `make` made for `key`. One thread makes it, others wait. An error of `make` is not kept."""
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                made = self._made.get(key)
                if made is not None:
                    self._made.move_to_end(key)
                    return made
            made = make()
            self._keep(key, made)
            return made

    def _keep(self, key: str, made: _Made) -> None:
        with self._lock:
            self._made[key] = made
            old = [self._made.popitem(last=False) for _ in range(len(self._made) - self._most)]
            for each, _ in old:
                self._turns.pop(each, None)
        for _, what in old:
            if isinstance(what, str):
                self._drop(what)

    def forget(self, key: str, name: str) -> None:
        """Drop `name`, which the server has lost, unless another one was made for `key` since."""
        with self._lock:
            if self._made.get(key) == name:
                del self._made[key]

    def clear(self) -> list[str]:
        """Drop all, and return their names on the server."""
        with self._lock:
            made = list(self._made.values())
            self._made.clear()
        return [each for each in made if isinstance(each, str)]


class GoJudgeExecutor(ServerExecutor):
    """Runs programs on a go-judge server. Thread-safe. Arguments as for `ServerExecutor`.

    CPU time is measured. Bytes that are not text pass unchanged.
    """

    def _set_up(self) -> None:
        self._paths: Mapping[str, str] | None = None
        self._binaries = CachedBinaries(self._delete)

    def _reported_languages(self) -> frozenset[str]:
        paths = self._tools()
        return frozenset(name for name, language in self._known.items() if tools_of(language) <= paths.keys())

    def _tools(self) -> Mapping[str, str]:
        """Return the paths of the server's tools. Asked until the server has answered once."""
        if self._paths is None:
            tools = sorted(frozenset[str]().union(*map(tools_of, self._known.values())))
            result = self._go(probe_request(tools), self._clock() + _PROBE_S, _ANSWER_BYTES)
            if result.status is not GoJudgeStatus.ACCEPTED:
                raise self._server.failed(f"cannot list its tools: {result.status.value}")
            lines = (line.partition(" ") for line in result.text("stdout").splitlines())
            self._paths = {tool: path for tool, _, path in lines if path.startswith("/")}
        return self._paths

    def _run(self, run: ServerRun) -> Execution:
        build = run.build
        with contextlib.ExitStack() as lent:
            data = {**({} if build.compile else build.layout.sources), **build.layout.extras, **build.given}
            given = {name: self._file(content, lent, run.until_s) for name, content in data.items()}
            stdin = self._file(run.stdin, lent, run.until_s)

            def once(*, cached: bool) -> Result | Execution:
                def go(binary: Mapping[str, File]) -> Result:
                    request = run_request(build, stdin, {**given, **binary}, run.limits, self._tools(), cached=cached)
                    return self._go(request, run.until_s, json_bytes(run.limits.output_bytes))

                return self._with_binary(run, go) if build.compile else go({})

            output = None
            result = once(cached=False)
            if isinstance(result, Result) and is_altered(result, run.limits):
                # JSON has only text: other output comes as a file, so the program runs again.
                result = once(cached=True)
                if isinstance(result, Result):
                    output = self._fetched(result, run, lent)
        if isinstance(result, Execution):
            return result
        self._server.check_output((output or b"").decode("latin-1") or result.text("stdout"))
        return execution_of_result(result, output, run.context)

    def _with_binary(self, run: ServerRun, go: Callable[[Mapping[str, File]], Result]) -> Result | Execution:
        """Return the result of `go` with the compiled program, which is compiled again, once, if the server has lost
        it.
        """
        key = _key(run)
        for last in (False, True):
            made = self._binaries.get(key, lambda: self._compiled(run))
            if isinstance(made, Execution):
                return made
            try:
                return go({PROGRAM: Cached(fileId=made)})
            except UnexpectedStatus as refusal:
                if _LOST not in refusal.words:
                    raise
                self._binaries.forget(key, made)
                if last:
                    raise
        raise AssertionError("unreachable")

    def _compiled(self, run: ServerRun) -> str | Execution:
        """Return the server's name for the compiled program, or the compile error of the usual command."""
        made = self._made(run, run.build.compile)
        if isinstance(made, Execution) and run.build.pragmatic:
            again = self._made(run, run.build.pragmatic)
            return made if isinstance(again, Execution) else again
        return made

    def _made(self, run: ServerRun, command: tuple[str, ...]) -> str | Execution:
        build = run.build
        with contextlib.ExitStack() as lent:
            files = {name: self._file(content, lent, run.until_s) for name, content in build.layout.files.items()}
            request = compile_request(build, command, files, run.limits, self._tools())
            result = self._go(request, run.until_s, json_bytes(PRINTED_BYTES))
        refusal = refusal_of_result(result, run.context)
        name = result.cached(PROGRAM)
        if refusal is not None and name:
            self._delete(name)
        return name if refusal is None else refusal

    def _go(self, request: RunRequest, until_s: float, at_most: int) -> Result:
        body = request.model_dump_json(exclude_none=True).encode()
        try:
            answer = self._server.post("/run", body, RunAnswer, within_s=self._left_s(until_s), at_most=at_most)
        except UnexpectedStatus as refusal:
            if _FULL in refusal.words:
                raise EndpointOverloaded(refusal.reason, endpoint=self._url) from None
            raise
        return answer.root[0]

    def _file(self, data: bytes, lent: contextlib.ExitStack, until_s: float) -> File:
        """Return `data` as a file of a request. Bytes that are not text are uploaded first, and deleted with `lent`."""
        text = utf8_text(data)
        if text is not None:
            return Content(content=text)
        boundary = secrets.token_hex(16).encode()
        head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="data"\r\n' % boundary
        body = b"%bContent-Type: application/octet-stream\r\n\r\n%b\r\n--%b--\r\n" % (head, data, boundary)
        content = self._server.call(
            "POST",
            "/file",
            body=Body(body, f"multipart/form-data; boundary={boundary.decode()}"),
            within_s=self._left_s(until_s),
            at_most=_ANSWER_BYTES,
        )
        name = self._server.read(content, FileId).root
        lent.callback(self._delete, name)
        return Cached(fileId=name)

    def _fetched(self, result: Result, run: ServerRun, lent: contextlib.ExitStack) -> bytes | None:
        """Return the output that the server kept; None if it has none, as its own errors say."""
        name = result.cached("stdout")
        if not name:
            if result.status in (GoJudgeStatus.INTERNAL_ERROR, GoJudgeStatus.FILE_ERROR):
                return None
            raise self._server.failed("the answer has no file with the output")
        lent.callback(self._delete, name)
        at_most = run.limits.output_bytes + 2**16
        return self._server.get(_path(name), within_s=self._left_s(run.until_s), at_most=at_most)

    def _delete(self, name: str) -> bool:
        """Delete a file on the server, and return whether the server answers. Failures are ignored."""
        try:
            self._server.call("DELETE", _path(name), within_s=_DELETE_S, at_most=_ANSWER_BYTES)
        except EndpointError as error:
            return isinstance(error, UnexpectedStatus)
        return True

    def ping(self) -> None:
        """Return if the server answers and accepts the token. Raises EndpointError."""
        content = self._server.get("/version", within_s=PING_S, at_most=PING_BYTES)
        if b'"buildVersion"' not in content:
            raise self._server.failed("did not answer /version with a version; is it a go-judge server?")
        # The version needs no token. A missing file gives "not found" only with the right token.
        self._server.call("DELETE", "/file/ping", within_s=PING_S, at_most=PING_BYTES, good=404)

    def close(self) -> None:
        """Delete our files on the server, and close all connections. May be called twice."""
        all(
            self._delete(name) for name in self._binaries.clear()
        )  # stops at the first failure: a server that is gone is asked once
        super().close()


def _path(name: str) -> str:
    return f"/file/{quote(name, safe='')}"


def _key(run: ServerRun) -> str:
    """Return the key of a compiled program: its files, its commands, and its compile time limit."""
    return run.build.layout.digest(run.build.language.name, *run.build.compile, str(run.limits.compile_s))
