"""SandboxFusion's API: SandboxFusion itself, and `balancer sandbox`.

It finds out which kind of server answers. Our own servers accept a program with all its parts. Other servers get a
"bash" script with all parts in `files` (see `http.script`).

| answer | means |
|---|---|
| SandboxError, or any command "Error" | the endpoint failed |
| an answer that contradicts itself, or does not fit the models | the endpoint failed |
| compile_result not finished with 0 | COMPILE_ERROR; doubtful if time ran out, as that was wall time |
| run_result TimeLimitExceeded | TIME_LIMIT, partial output kept |
| run_result Finished | FINISHED with its code, or MEMORY_LIMIT by its last words |
| more output than asked for | OUTPUT_LIMIT, whatever else it says |

SandboxFusion never says that it is busy; our own servers do, by a status.
"""

import math
import re
import secrets
import threading
from collections.abc import Mapping

from pydantic import ValidationError

from balancer.errors import EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.http.adapter import PING_BYTES, PING_S, ServerExecutor, executor_hook, json_bytes
from balancer.sandbox.http.answers import AnswerContext, RunReport, execution_of_report
from balancer.sandbox.http.builds import encoded, utf8_text
from balancer.sandbox.http.script import (
    INPUT,
    OUTPUT,
    RESERVED,
    WORDS,
    ScriptEnd,
    script_for,
    script_result_of,
)
from balancer.sandbox.languages.layout import check_name, lay_out
from balancer.sandbox.probes import HELLO_LIMITS, Trials
from balancer.sandbox.run_code import About, CommandStatus, FusionRun, RunCodeAnswer, RunCodeRequest, RunStatus

__all__ = ["FusionExecutor", "balancer_executors"]

_MEBIBYTE = 2**20
_SCRIPT_MEBIBYTES = 2048
_START_S = 2.0  # for the script itself, on a busy server
_NOT_FOUND = 127  # exit code of a shell for an unknown command
_ABOUT_S, _ABOUT_BYTES = 3.0, 2**16
_NOT_THERE = (404, 405, 501)
_WHICH_PYTHON = RunCodeRequest(code="import sys; print(sys.executable)", language="python")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FusionExecutor(ServerExecutor[str]):
    """Runs programs on a SandboxFusion server. Thread-safe. Arguments as for `ServerExecutor`."""

    def _set_up(self) -> None:
        self._asking = threading.Lock()
        self._about: About | None = None
        self._asked = False
        self._python = ""
        self._reports = False  # whether a script has reported there
        # Binaries that the server keeps, and the hash of each that was reported when it was made, before any program
        # ran. One is used only with that hash, so a file that another program puts in its place is never run.
        self._salt = secrets.token_hex(8)  # so that names differ from those of other processes
        self._hashes: dict[str, str] = {}
        self._trials = Trials(lambda program: self._run_once(FusionRun(program, b"", HELLO_LIMITS, {})))

    # -- what the server is ------------------------------------------------------------------------

    def _possible_languages(self) -> frozenset[str]:
        return frozenset(self._known)

    def _reported_languages(self) -> frozenset[str]:
        about = self._server_info()
        return frozenset(filter(self.runs, self._known) if about is None else about.languages)

    def runs(self, language: str) -> bool:
        """Return whether it can run `language`. Unless the config says, it is tried once with a tiny program."""
        if self._allowed is not None:
            return language in self._allowed
        about, known = self._server_info(), self._known.get(language)
        if about is not None and (known is None or language not in about.languages):
            return language in about.languages
        return known is not None and self._trials.works(known) is not False

    def _server_info(self) -> About | None:
        """Return the answer to `/v1/about`, which only our own servers have; None if the server does not answer it
        now.
        """
        with self._asking:
            if not self._asked:
                try:
                    about = self._server.get("/v1/about", within_s=_ABOUT_S, at_most=_ABOUT_BYTES)
                    self._about = About.model_validate_json(about)
                except ValidationError:
                    pass  # another kind of server
                except EndpointError as error:
                    if getattr(error, "status", None) not in _NOT_THERE:
                        return None  # it is asked again later
                self._asked = True
            return self._about

    # -- a run -------------------------------------------------------------------------------------

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        Header values are replaced by "***" in the server's messages and in the standard error. The standard output is
        not changed, because verdicts depend on it. If it holds a header value of 20 characters or more, the server is
        at fault.

        `balancer sandbox` measures CPU time. On SandboxFusion a script measures it, and its report counts only against
        the program.

        Raises:
            EndpointError, EndpointOverloaded, ValueError: as `ServerExecutor.run`.
        """
        done = self._run_once(FusionRun(program, stdin, limits, files))
        if (done.status is Status.COMPILE_ERROR or done.exit_code == _NOT_FOUND) and not self._surely_runs(program):
            raise self._server.cannot_tell(f"it is unknown whether the server runs {program.language}")
        return done

    def _surely_runs(self, program: Program) -> bool:
        """Return whether the language surely works. One that failed its trial is tried again."""
        language = self._known.get(program.language)
        if self._allowed is not None or self._server_info() is not None or language is None or not language.hello:
            return True
        return bool(self._trials.works(language, again=True))

    def _run_once(self, run: FusionRun) -> Execution:
        context = AnswerContext(run.program.language, run.limits, self._server)
        if self._server_info() is None:
            return self._scripted(run, context)
        language = self._known.get(run.program.language)
        compile_s = run.limits.compile_wall_s if language is None or language.compile else 0.0
        return _execution(self._post(_ours(run), run.limits.wall_s + compile_s, run.limits), context)

    def _scripted(self, run: FusionRun, context: AnswerContext) -> Execution:
        """Run a program by a script. Raises ValueError if a file name is not allowed."""
        language, limits = self._language(run.program.language), run.limits
        layout = lay_out(language, run.program)
        for name in (*run.files, *layout.files):
            if check_name(name) in RESERVED or (name in run.files and name in layout.own):
                raise ValueError(f"file name {name!r} is a name of the program itself; rename the file")
        compiles = bool(layout.compile)
        key = layout.digest(self._salt) if compiles else ""
        python = self._which_python(context) if "python3" in layout.run else "python3"
        runtime = math.ceil((limits.memory_bytes + language.runtime_bytes) / _MEBIBYTE)
        compiler = (_SCRIPT_MEBIBYTES + language.compiler_bytes // _MEBIBYTE) * compiles
        total_s = limits.wall_s + _START_S + limits.compile_wall_s * compiles
        body = RunCodeRequest(
            code=script_for(language, layout, run.program.args, limits, python, (key, self._hashes.get(key, ""))),
            language="bash",
            compile_timeout=limits.compile_wall_s,
            run_timeout=total_s,
            memory_limit_MB=max(runtime, compiler),
            files={name: encoded(data) for name, data in {**layout.files, **run.files, INPUT: run.stdin}.items()},
            fetch_files=[OUTPUT, WORDS],
        )
        end = _script_end(self._post(body, total_s, limits), context)
        self._reports = self._reports or bool(end.reports)
        if not self._reports and end.exit_code == 0:
            raise self._server.failed("a bash script ended well and reported nothing; is it a SandboxFusion server?")
        execution, sha256 = script_result_of(end, context, compiles=compiles)
        self._server.check_output(execution.stdout)
        if key and _SHA256.fullmatch(sha256):
            self._hashes[key] = sha256
        return execution

    def _which_python(self, context: AnswerContext) -> str:
        """Return the interpreter that the server itself uses, because it has packages that others lack."""
        if not self._python:
            answer = self._post(_WHICH_PYTHON, _WHICH_PYTHON.run_timeout, Limits())
            path = _script_end(answer, context).said.strip()
            self._python = path if path.startswith("/") and path.isprintable() else "python3"
        return self._python

    def _post(self, body: RunCodeRequest, total_s: float, limits: Limits) -> RunCodeAnswer:
        """Send a request for which the server may take `total_s` seconds, and return the answer."""
        within_s, at_most = total_s + self.margin_s, json_bytes(limits.output_bytes)
        sent = body.model_dump(exclude_none=True)
        return self._server.post("/run_code", sent, RunCodeAnswer, within_s=within_s, at_most=at_most)

    def ping(self) -> None:
        """Return if the server answers. Raises EndpointError."""
        content = self._server.get("/v1/ping", within_s=PING_S, at_most=PING_BYTES)
        if content.strip(b'" \r\n') != b"pong":
            raise self._server.failed("did not answer /v1/ping with pong; is it a SandboxFusion server?")


def _ours(run: FusionRun) -> RunCodeRequest:
    """Return the request for `run` to one of our own servers. Raises ValueError: a file name is not allowed."""
    program, limits, text = run.program, run.limits, utf8_text(run.stdin)
    for name in (*run.files, *(name for name, _ in program.extras)):
        check_name(name)
    source = program.source.encode("utf-8", "surrogateescape")
    return RunCodeRequest(
        code=utf8_text(source) or "",
        language=program.language,
        stdin=text,
        stdin_base64=None if text is not None else encoded(run.stdin),
        args=list(program.args),
        extras={name: encoded(content) for name, content in program.extras},
        compile_timeout=limits.compile_s,
        run_timeout=min(limits.cpu_s, limits.wall_s),
        memory_limit_MB=math.ceil(limits.memory_bytes / _MEBIBYTE),
        files={name: encoded(content) for name, content in run.files.items()},
        wall_timeout=limits.wall_s,
        output_limit=limits.output_bytes,
        source_base64=None if utf8_text(source) is not None else encoded(source),
    )


def _execution(answer: RunCodeAnswer, context: AnswerContext) -> Execution:
    """Return the end of a run on one of our own servers.

    Raises:
        EndpointError: the server failed, or its answer contradicts itself.
    """
    if flaw := _flaw_in(answer, context):
        raise context.server.failed(flaw)
    built, ran = answer.compile_result, answer.run_result
    compile_s = built.execution_time or 0.0 if built is not None else 0.0
    if ran is None or (built is not None and not built.went_well):
        assert built is not None  # else it has a flaw
        late = built.status is CommandStatus.TIME_LIMIT
        return Execution(
            Status.COMPILE_ERROR,
            stderr=context.server.redact(built.stderr or built.stdout or "").encode(),
            message=context.server.redact(answer.message),
            compile_s=compile_s,
            doubtful=late,
            server_s=answer.server_s,
        )
    told = ran.stdout_base64
    report = RunReport(
        (ran.stdout or "").encode() if told is None else context.decoded(told),
        (ran.stderr or "").encode(),
        exit_code=ran.return_code,
        timed_out=ran.status is CommandStatus.TIME_LIMIT,
        truncated=bool(ran.output_cut),
        by_script=False,
        cpu_s=ran.cpu_time,
        wall_s=ran.execution_time,
        memory_bytes=ran.peak_memory,
        message=answer.message,
        compile_s=compile_s,
        server_s=answer.server_s,
    )
    return execution_of_report(report, context)


def _script_end(answer: RunCodeAnswer, context: AnswerContext) -> ScriptEnd:
    """Return the end of a script. Raises EndpointError as `_execution`."""
    result = answer.run_result
    flaw = _flaw_in(answer, context)
    if flaw or result is None:
        raise context.server.failed(flaw or "the answer has no run_result")
    return ScriptEnd(
        said=result.stdout or "",
        exit_code=result.return_code,
        late=result.status is CommandStatus.TIME_LIMIT,
        total_s=result.execution_time,
        output=context.decoded(answer.files.get(OUTPUT)),
        words=context.decoded(answer.files.get(WORDS)),
    )


def _flaw_in(answer: RunCodeAnswer, context: AnswerContext) -> str:
    """Return what is wrong with the server or its answer; "" if the answer is about the program."""
    results = [result for result in (answer.compile_result, answer.run_result) if result is not None]
    if answer.status is RunStatus.SANDBOX_ERROR:
        return f"the sandbox failed: {context.server.one_line(answer.message)}"
    if any(result.status is CommandStatus.ERROR for result in results):
        return f"the sandbox could not start a command: {context.server.one_line(results[-1].stderr or '')}"
    if any((result.return_code is None) != (result.status is CommandStatus.TIME_LIMIT) for result in results):
        return "the answer contradicts itself: a finished command has no return code, or another one has a return code"
    if answer.run_result is None and (answer.compile_result is None or answer.compile_result.went_well):
        return "the answer has no run_result"
    if (answer.status is RunStatus.SUCCESS) != all(result.went_well for result in results):
        return f"the answer contradicts itself: status {answer.status.value} with other results"
    return ""


balancer_executors = executor_hook(FusionExecutor, "http", "https", summary="runs programs on a SandboxFusion server")
