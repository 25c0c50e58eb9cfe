"""SandboxFusion's API: SandboxFusion itself, and `balancer sandbox`.

It finds out which kind of server answers. Our own servers accept a program with all its parts. Other servers get a
"bash" script with all parts in `files` (see `http.script`). A language that is not in our table, or whose tools are not
on the server's path, is run by the server itself: as text, with text on stdin and without arguments.

| answer | means |
|---|---|
| SandboxError, or any command "Error" | the endpoint failed |
| an answer that contradicts itself, or does not fit the models | the endpoint failed |
| compile_result not finished with 0 | COMPILE_ERROR; doubtful if time ran out, as that was wall time |
| run_result TimeLimitExceeded | TIME_LIMIT, partial output kept |
| run_result Finished | FINISHED with its code, or MEMORY_LIMIT by its last words |
| more output than the server can be trusted with | OUTPUT_LIMIT, whatever else it says |

SandboxFusion never says that it is busy; our own servers do, by a status. A server that runs the program itself reports
output that is not UTF-8 as the text "[DecodeError] ..." with Success. That text is kept: no text checker accepts it, so
the verdict is a wrong answer. Scripts and our own servers pass any bytes.
"""

import base64
import binascii
import math
import re
import secrets
import threading
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from balancer.errors import EndpointError
from balancer.language import Language
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.http.adapter import PING_BYTES, PING_S, ServerExecutor, executor_hook, json_bytes
from balancer.sandbox.http.answers import AnswerContext
from balancer.sandbox.http.builds import utf8_text
from balancer.sandbox.http.script import (
    INPUT,
    OUTPUT,
    RESERVED,
    WORDS,
    ScriptEnd,
    ScriptOptions,
    script_for,
    script_result_of,
)
from balancer.sandbox.languages.layout import ProgramLayout, check_name, lay_out
from balancer.sandbox.languages.memory import died_of_memory_limit
from balancer.sandbox.probes import HELLO_LIMITS, Trials
from balancer.sandbox.run_code import (
    About,
    CommandResult,
    CommandStatus,
    FusionRun,
    RunCodeAnswer,
    RunCodeRequest,
    RunStatus,
)

__all__ = ["TRUSTED_BYTES", "FusionExecutor", "balancer_executors"]

# SandboxFusion reads a pipe through asyncio, which stops reading once it holds more than twice its limit of
# 64 KiB, and then takes only what it holds. What is printed beyond is lost without a word, at a length that
# depends on timing (135 168 to 303 104 bytes seen; 219 264 if all comes in one write), and a program that
# prints much more hangs until its time limit. Up to twice the limit nothing is ever lost.
TRUSTED_BYTES = 2 * 2**16

_MEBIBYTE = 2**20
# SandboxFusion applies the memory limit to its compiler as well, and bits/stdc++.h takes 250 MB of address space:
# with less than this a right program would get a compile error.
_COMPILE_MEBIBYTES = 512
_SCRIPT_MEBIBYTES = 2048
_START_S = 2.0  # for the script itself, on a busy server
_NOT_FOUND = 127  # exit code of a shell for an unknown command
_ABOUT_S, _ABOUT_BYTES = 3.0, 2**16
_NAMES = TypeAdapter(frozenset[str])
_WHICH_PYTHON = "import sys; print(sys.executable)"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FusionExecutor(ServerExecutor[str]):
    """Runs programs on a SandboxFusion server. Thread-safe. Arguments as for `ServerExecutor`."""

    def _set_up(self) -> None:
        self._asking = threading.Lock()
        self._about: About | None = None
        self._listed: frozenset[str] | None = None
        self._asked = False
        self._python = ""
        self._natively: set[str] = set()  # languages that the server runs, but a script cannot
        self._scripts: bool | None = None  # whether scripts report there; None: unknown
        # Binaries that the server keeps, and the hash of each that was reported when it was made, before any program
        # ran. One is used only with that hash, so a file that another program puts in its place is never run.
        self._salt = secrets.token_hex(8)  # so that names differ from those of other processes
        self._hashes: dict[str, str] = {}
        self._trials = Trials(lambda program: self._run_once(FusionRun(program, b"", HELLO_LIMITS, {})))
        self._native_trials = Trials(lambda program: self._run_natively(FusionRun(program, b"", HELLO_LIMITS, {})))

    # -- what the server is ------------------------------------------------------------------------

    def _possible_languages(self) -> frozenset[str]:
        return frozenset(self._known)

    def _reported_languages(self) -> frozenset[str]:
        about = self._server_info()
        if about is not None:
            return frozenset(about.languages)
        runs = self.runs if self._listed is None else self._lists  # without a list, each is tried, once
        return frozenset(name for name in self._known if runs(name))

    def runs(self, language: str) -> bool:
        """Return whether it can run `language`. Unless the config says, it is tried once with a tiny program."""
        if self._allowed is not None:
            return language in self._allowed
        about, known = self._server_info(), self._known.get(language)
        if (about is not None and language not in about.languages) or not self._lists(language):
            return False
        if known is None:
            return about is not None
        works = self._trials.works(known)
        if works is False and about is None and known.native:  # its tools may be where only the server finds them
            works = self._native_trials.works(known)
            if works:
                self._natively.add(language)
        return works is not False

    def _lists(self, language: str) -> bool:
        """Return whether the server may have `language`, by the list of a server without `/v1/about`."""
        known = self._known.get(language)
        return self._listed is None or language in self._listed or (known is not None and known.native in self._listed)

    def _server_info(self) -> About | None:
        """Return the answer to `/v1/about`, which only our own servers have; None if the server does not answer it
        now.
        """
        with self._asking:
            if not self._asked:
                try:
                    about = self._server.get_if_there("/v1/about", within_s=_ABOUT_S, at_most=_ABOUT_BYTES)
                    self._about = About.model_validate_json(about) if about is not None else None
                    if about is None:
                        listed = self._server.get_if_there("/v1/languages", within_s=_ABOUT_S, at_most=_ABOUT_BYTES)
                        self._listed = _NAMES.validate_json(listed) if listed is not None else None
                    self._asked = True
                except ValidationError:
                    self._asked = True  # another kind of server
                except EndpointError:
                    return None  # it is asked again later
            return self._about

    # -- a run -------------------------------------------------------------------------------------

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        Header values are replaced by "***" in the server's messages and in the standard error. The standard output is
        not changed, because verdicts depend on it. If it holds a header value of 20 characters or more, the server is
        at fault.

        `balancer sandbox` measures CPU time. On SandboxFusion a script measures it, and its report counts only against
        the program. A language that no script can run there has only wall time, and at most 128 KiB of output. The same
        holds for every language on a server where scripts end well without a report.

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
        return bool(self._trials.works(language, again=True)) or program.language in self._natively

    def _run_once(self, run: FusionRun) -> Execution:
        name = run.program.language
        language = self._known.get(name)
        if self._server_info() is not None:
            return self._done(run, *_ours(run, compiles=language is None or bool(language.compile)))
        if language is None or name in self._natively or self._scripts is False:
            return self._run_natively(run)
        layout = lay_out(language, run.program)
        key = layout.digest(self._salt) if layout.compile else ""
        python = self._which_python(run.limits) if "{python}" in layout.run and not layout.compile else "python3"
        options = ScriptOptions(python, stored=key, sha256=self._hashes.get(key, ""))
        context = AnswerContext(name, run.limits, self._server)
        end = _script_end(self._post(*_scripted(run, language, layout, options), run.limits), context)
        if self._scripts is None and (end.reports or end.exit_code == 0):
            self._scripts = bool(end.reports)
            if not self._scripts:  # it has the API, but is not SandboxFusion
                return self._run_natively(run)
        result = script_result_of(end, context, compiles=bool(layout.compile))
        self._server.check_output(result.execution.stdout.decode("utf-8", "replace"))
        if key and _SHA256.fullmatch(result.sha256):
            self._hashes[key] = result.sha256
        return result.execution

    def _run_natively(self, run: FusionRun) -> Execution:
        language = self._known.get(run.program.language)
        name = (language and language.native) or run.program.language
        return self._done(run, *_native(run, name, compiles=language is None or bool(language.compile)))

    def _done(self, run: FusionRun, body: RunCodeRequest, total_s: float) -> Execution:
        """Return the end of a run that the server makes without a script."""
        context = AnswerContext(run.program.language, run.limits, self._server)
        done = _execution(self._post(body, total_s, run.limits), context)
        self._server.check_output(done.stdout.decode("utf-8", "replace"))
        return done

    def _which_python(self, limits: Limits) -> str:
        """Return the interpreter that the server itself uses, because it has packages that others lack."""
        if not self._python:
            done = self._run_natively(FusionRun(Program("python", _WHICH_PYTHON), b"", limits, {}))
            path = done.stdout.decode("utf-8", "replace").strip()
            plain = done.status is Status.FINISHED and path.startswith("/") and path.isprintable()
            self._python = path if plain else "python3"
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


# -- requests: each with the server's longest time for it ------------------------------------------


def _ours(run: FusionRun, *, compiles: bool) -> tuple[RunCodeRequest, float]:
    """Return the request for `run` to one of our own servers. Raises ValueError: a file name is not allowed."""
    program, limits, text = run.program, run.limits, utf8_text(run.stdin)
    for name in (*run.files, *(name for name, _ in program.extras)):
        check_name(name)
    sendable = _sendable(program.source)
    body = RunCodeRequest(
        code=program.source if sendable else "",
        language=program.language,
        stdin=text,
        stdin_base64=None if text is not None else _encoded(run.stdin),
        args=list(program.args),
        extras={name: _encoded(content) for name, content in program.extras},
        compile_timeout=limits.compile_s,
        run_timeout=min(limits.cpu_s, limits.wall_s),
        memory_limit_MB=math.ceil(limits.memory_bytes / _MEBIBYTE),
        files={name: _encoded(content) for name, content in run.files.items()},
        wall_timeout=limits.wall_s,
        output_limit=limits.output_bytes,
        source_base64=None if sendable else _encoded(program.source.encode("utf-8", "surrogateescape")),
    )
    return body, limits.wall_s + limits.compile_wall_s * compiles


def _native(run: FusionRun, language: str, *, compiles: bool) -> tuple[RunCodeRequest, float]:
    """Return the request that lets the server run the program by itself, in its own `language`.

    Raises:
        ValueError: it has arguments, several files, or bytes that are not text; or a file name is not allowed.
    """
    program, limits, text = run.program, run.limits, utf8_text(run.stdin)
    for each in run.files:
        check_name(each)
    if program.args or program.extras or text is None or not _sendable(program.source):
        raise ValueError(
            f"a program in {program.language!r} can be sent to this server only without arguments and further files, "
            "and only if all of it is text"
        )
    mebibytes = math.ceil(limits.memory_bytes / _MEBIBYTE)
    body = RunCodeRequest(
        code=program.source,
        language=language,
        stdin=text,
        compile_timeout=limits.compile_wall_s,  # wall time there
        # Wall time, too. With the wall limit, which is for sleeping programs, one three times too slow would pass.
        # With the CPU limit a busy server may stop one that is fast enough; that is visible, so it is run again.
        run_timeout=min(limits.cpu_s, limits.wall_s),
        memory_limit_MB=max(mebibytes, _COMPILE_MEBIBYTES) if compiles else mebibytes,
        files={each: _encoded(content) for each, content in run.files.items()},
    )
    return body, limits.wall_s + limits.compile_wall_s * compiles


def _scripted(
    run: FusionRun, language: Language, layout: ProgramLayout, options: ScriptOptions
) -> tuple[RunCodeRequest, float]:
    """Return the request for `run` by a script. `layout` is that of its program.

    Raises:
        ValueError: a file name is not allowed.
    """
    limits, compiles = run.limits, bool(layout.compile)
    for name in (*run.files, *layout.files):
        if check_name(name) in RESERVED or (name in run.files and name in layout.own):
            raise ValueError(f"file name {name!r} is a name of the program itself; rename the file")
    total_s = limits.wall_s + _START_S + limits.compile_wall_s * compiles
    compiler = _SCRIPT_MEBIBYTES + language.compiler_bytes // _MEBIBYTE
    runtime = math.ceil((limits.memory_bytes + language.runtime_bytes) / _MEBIBYTE)
    body = RunCodeRequest(
        code=script_for(language, layout, run.program.args, limits, options),
        language="bash",
        compile_timeout=limits.compile_wall_s,
        run_timeout=total_s,
        memory_limit_MB=max(runtime, compiler) if compiles else runtime,
        files={name: _encoded(content) for name, content in {**layout.files, **run.files, INPUT: run.stdin}.items()},
        fetch_files=[OUTPUT, WORDS],
    )
    return body, total_s


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _sendable(source: str) -> bool:
    """Return whether `source` is Unicode text (lone surrogates stand for other bytes)."""
    return not any("\ud800" <= sign <= "\udfff" for sign in source)


# -- answers ---------------------------------------------------------------------------------------


def _execution(answer: RunCodeAnswer, context: AnswerContext) -> Execution:
    """Return the end of a run that the server made without a script.

    Raises:
        EndpointError: the server failed, or its answer contradicts itself.
    """
    if flaw := _flaw_in(answer, context):
        raise context.server.failed(flaw)
    built, ran = answer.compile_result, answer.run_result
    message, server_s = context.server.redact(answer.message), _server_s(answer)
    compile_s = built.execution_time or 0.0 if built is not None else 0.0
    if built is not None and not built.went_well:
        late = built.status is CommandStatus.TIME_LIMIT
        return Execution(
            Status.COMPILE_ERROR,
            stderr=context.server.redact(built.stderr or built.stdout or "").encode(),
            message=message or (f"the compiler was stopped after {compile_s:.1f} s" if late else ""),
            compile_s=compile_s,
            doubtful=late,
            server_s=server_s,
        )
    assert ran is not None  # else it has a flaw
    stdout, limits = _printed(ran), context.limits
    status = _status(ran, stdout, context)
    return Execution(
        status=status,
        stdout=stdout[: limits.output_bytes],
        stderr=context.stderr(ran.stderr or ""),
        exit_code=ran.return_code if status in (Status.FINISHED, Status.MEMORY_LIMIT) else None,
        time_s=ran.execution_time or 0.0 if ran.cpu_time is None else ran.cpu_time,
        cpu_measured=ran.cpu_time is not None,
        memory_bytes=ran.peak_memory,
        message=message,
        compile_s=compile_s,
        server_s=server_s,
    )


def _script_end(answer: RunCodeAnswer, context: AnswerContext) -> ScriptEnd:
    """Return the end of a script.

    Raises:
        EndpointError: as `_execution`.
    """
    result = answer.run_result
    flaw = _flaw_in(answer, context)
    if flaw or result is None:
        raise context.server.failed(flaw or "the answer has no run_result")
    return ScriptEnd(
        said=result.stdout or "",
        exit_code=result.return_code,
        late=result.status is CommandStatus.TIME_LIMIT,
        total_s=result.execution_time,
        output=_decoded(answer.files.get(OUTPUT, "")) or b"",
        words=_decoded(answer.files.get(WORDS, "")) or b"",
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


def _server_s(answer: RunCodeAnswer) -> float | None:
    """Return how long the server took, in seconds; None if it does not say.

    SandboxFusion reports wall time for each command.
    """
    if answer.server_s is not None:
        return answer.server_s
    results = [result for result in (answer.compile_result, answer.run_result) if result is not None]
    times = [each.execution_time for each in results if each.execution_time is not None]
    return sum(times) if len(times) == len(results) else None


def _printed(result: CommandResult) -> bytes:
    """Return the bytes of the standard output."""
    printed = None if result.stdout_base64 is None else _decoded(result.stdout_base64)
    return (result.stdout or "").encode() if printed is None else printed


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _status(result: CommandResult, stdout: bytes, context: AnswerContext) -> Status:
    stderr = (result.stderr or "").encode()
    if _exceeds(result, max(len(stdout), len(stderr)), context.limits):
        return Status.OUTPUT_LIMIT
    if result.status is CommandStatus.TIME_LIMIT:
        return Status.TIME_LIMIT
    if result.return_code and died_of_memory_limit(context.language, result.return_code, stderr):
        return Status.MEMORY_LIMIT
    return Status.FINISHED


def _exceeds(result: CommandResult, printed: int, limits: Limits) -> bool:
    """Return whether output was cut, as the server says, or as may be if it does not say."""
    if printed > limits.output_bytes:
        return True
    return printed > TRUSTED_BYTES if result.output_cut is None else result.output_cut


balancer_executors = executor_hook(FusionExecutor, "http", "https", summary="runs programs on a SandboxFusion server")
