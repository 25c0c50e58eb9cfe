"""The executor for endpoints that speak go-judge's API.

Decides what is compiled, kept and run in which order, and what to do when the server has lost a program. How a run is
put into words is `request`'s business, what the answer means is `answer`'s.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import quote

from balancer.errors import EndpointError, EndpointOverloaded
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.gojudge.answer import execution_of_result, is_altered, refusal_of_result
from balancer.sandbox.gojudge.binaries import CachedBinaries
from balancer.sandbox.gojudge.request import (
    PRINTED_BYTES,
    File,
    compile_request,
    probe_request,
    run_request,
    text_file,
)
from balancer.sandbox.gojudge.wire import Cached, FileId, GoJudgeStatus, Result, RunAnswer, RunRequest
from balancer.sandbox.http.adapter import MARGIN_S, PING_BYTES, PING_S, ServerExecutor, json_bytes
from balancer.sandbox.http.builds import PROGRAM, Build, build_of, tools_of
from balancer.sandbox.http.client import UnexpectedStatus
from balancer.sandbox.languages.known import known_languages

__all__ = ["GoJudgeExecutor"]

_DELETE_S = 2.0
_TELLS_S = 10.0
_ANSWER_BYTES = 2**16
_LOST = "does not exist"  # "file does not exists with id: ..."
_FULL = "queue is full"


class GoJudgeExecutor(ServerExecutor):
    """Runs programs on a go-judge server. Thread-safe. Arguments as for `ServerExecutor`."""

    def _begin(self, options: ExecutorOptions) -> None:
        self._paths: Mapping[str, str] | None = None
        self._binaries = CachedBinaries(self._delete)

    def _reported_languages(self) -> frozenset[str]:
        paths = self._tools()
        return frozenset(name for name, language in known_languages().items() if tools_of(language) <= paths.keys())

    def _known_languages(self) -> frozenset[str]:
        return frozenset(known_languages())

    def _tools(self) -> Mapping[str, str]:
        """Return where the server has which tools, asked until it has once said so."""
        if self._paths is None:
            tools = sorted(frozenset[str]().union(*map(tools_of, known_languages().values())))
            result = self._go(probe_request(tools), self._clock() + _TELLS_S, _ANSWER_BYTES)
            if result.status is not GoJudgeStatus.ACCEPTED:
                raise self._server.failed(f"cannot say which tools it has: {result.status.value}")
            lines = (line.partition(" ") for line in (result.files or {}).get("stdout", "").splitlines())
            self._paths = {tool: path for tool, _, path in lines if path.startswith("/")}
        return self._paths

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says. CPU time is measured, and bytes that are no text pass unchanged.

        Raises:
            EndpointError: the server failed or did not answer in time.
            EndpointOverloaded: it said that it has too much to do.
            ValueError: the language is not known, or a file name is not allowed.
        """
        build = build_of(program, limits, files)
        until_s = self._clock() + limits.wall_s + MARGIN_S
        if build.compile:
            until_s += limits.compile_wall_s
        with contextlib.ExitStack() as lent:
            data = {**({} if build.compile else build.sources), **build.extras, **build.given}
            given = {name: self._file(content, lent, until_s) for name, content in data.items()}
            text = self._file(stdin, lent, until_s)
            return self._run_given(build, text, given, limits, until_s, lent)

    def _run_given(
        self,
        build: Build,
        stdin: File,
        given: Mapping[str, File],
        limits: Limits,
        until_s: float,
        lent: contextlib.ExitStack,
    ) -> Execution:
        def once(*, kept: bool) -> Result | Execution:
            def go(binary: Mapping[str, File]) -> Result:
                request = run_request(build, stdin, {**given, **binary}, limits, self._tools(), kept=kept)
                return self._go(request, until_s, json_bytes(limits.output_bytes))

            return self._with_binary(build, limits, until_s, go) if build.compile else go({})

        result = once(kept=False)
        output = None
        if isinstance(result, Result) and is_altered(result, limits):
            # JSON has only text; what the program printed is had as a file. It runs again, as nobody knew.
            result = once(kept=True)
            if isinstance(result, Result):
                output = self._fetched(result, limits, until_s, lent)
        if isinstance(result, Execution):
            return result
        self._server.check_output((output or b"").decode("latin-1") or (result.files or {}).get("stdout", ""))
        return execution_of_result(
            result,
            output,
            language=build.language.name,
            limits=limits,
            endpoint=self._url,
            redact=self._server.redact,
        )

    def _with_binary(
        self, build: Build, limits: Limits, until_s: float, go: Callable[[Mapping[str, File]], Result]
    ) -> Result | Execution:
        """Return what `go` makes of the compiled program; if the server has lost that, it is compiled again, once."""
        key = _key(build, limits)
        for last in (False, True):
            made = self._binaries.get(key, lambda: self._compiled(build, limits, until_s))
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

    def _compiled(self, build: Build, limits: Limits, until_s: float) -> str | Execution:
        """Return the server's name for the compiled program, or the compile error: that of the usual command."""
        made = self._made(build, build.compile, limits, until_s)
        if isinstance(made, Execution) and build.pragmatic:
            again = self._made(build, build.pragmatic, limits, until_s)
            return made if isinstance(again, Execution) else again
        return made

    def _made(self, build: Build, command: tuple[str, ...], limits: Limits, until_s: float) -> str | Execution:
        with contextlib.ExitStack() as lent:
            data = {**build.extras, **build.sources}
            files = {name: self._file(content, lent, until_s) for name, content in data.items()}
            request = compile_request(build, command, files, limits, self._tools())
            result = self._go(request, until_s, json_bytes(PRINTED_BYTES))
        refusal = refusal_of_result(result, compile_s=limits.compile_s, endpoint=self._url, redact=self._server.redact)
        name = (result.fileIds or {}).get(PROGRAM, "")
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
        """Return `data` as a file of a request; bytes that are no text are handed to the server before, and lent."""
        text = text_file(data)
        if text is not None:
            return text
        boundary = secrets.token_hex(16).encode()
        head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="data"\r\n' % boundary
        body = b"%bContent-Type: application/octet-stream\r\n\r\n%b\r\n--%b--\r\n" % (head, data, boundary)
        content = self._server.call(
            "POST",
            "/file",
            body=body,
            kind=f"multipart/form-data; boundary={boundary.decode()}",
            within_s=self._left_s(until_s),
            at_most=_ANSWER_BYTES,
        )
        name = self._server.read(content, FileId).root
        lent.callback(self._delete, name)
        return Cached(fileId=name)

    def _fetched(self, result: Result, limits: Limits, until_s: float, lent: contextlib.ExitStack) -> bytes | None:
        """Return the output that the server kept; None if it has none to give, as its own errors say."""
        name = (result.fileIds or {}).get("stdout")
        if not name:
            if result.status in (GoJudgeStatus.INTERNAL_ERROR, GoJudgeStatus.FILE_ERROR):
                return None
            raise self._server.failed("the answer names no file with the output")
        lent.callback(self._delete, name)
        at_most = limits.output_bytes + 2**16
        return self._server.get(f"/file/{quote(name, safe='')}", within_s=self._left_s(until_s), at_most=at_most)

    def _delete(self, name: str) -> bool:
        """Let the server forget a file, and return whether it answers; what it keeps all the same is its own."""
        try:
            self._server.call("DELETE", f"/file/{quote(name, safe='')}", within_s=_DELETE_S, at_most=_ANSWER_BYTES)
        except EndpointError as error:
            return isinstance(error, UnexpectedStatus)
        return True

    def ping(self) -> None:
        """Return if the server answers, and lets us in.

        Raises:
            EndpointError: it does not, or it is something else.
        """
        content = self._server.get("/version", within_s=PING_S, at_most=PING_BYTES)
        if b'"buildVersion"' not in content:
            raise self._server.failed("answered /version with something else than a version; is it a go-judge server?")
        # The version is told to everybody; a file that is not there is not found by those with the right token.
        self._server.call("DELETE", "/file/ping", within_s=PING_S, at_most=PING_BYTES, good=404)

    def close(self) -> None:
        """Let the server forget what it keeps for us, and close all connections. May be called twice."""
        all(self._delete(name) for name in self._binaries.clear())  # a server that is gone is asked once
        super().close()


def _key(build: Build, limits: Limits) -> str:
    """Return what tells compiled programs apart: command, files, and the time that a compiler may take."""
    digest = hashlib.sha256(repr((build.language.name, build.compile, limits.compile_s)).encode())
    for name, content in sorted({**build.extras, **build.sources}.items()):
        digest.update(b"%d %d " % (len(name.encode()), len(content)))
        digest.update(name.encode() + content)
    return digest.hexdigest()
