"""Executor for HTTP endpoints with SandboxFusion's API: SandboxFusion itself, and `balancer sandbox`.

It finds out which kind of server answers, and chooses the request, the deadline and the size limit of a run. `wire` and
`http.script` write the requests and read the answers.
"""

import re
import secrets
import threading
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from balancer.errors import CannotTell, EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.fusion.wire import (
    About,
    FusionRequest,
    FusionRun,
    RunCodeAnswer,
    execution_of_answer,
    native,
    ours,
    script_end_of,
    scripted,
)
from balancer.sandbox.http.adapter import PING_BYTES, PING_S, ServerExecutor, json_bytes
from balancer.sandbox.http.script import ScriptOptions, script_result_of
from balancer.sandbox.languages.layout import ProgramLayout, lay_out
from balancer.sandbox.probes import HELLO_LIMITS, Trials

__all__ = ["FusionExecutor"]

_NOT_FOUND = 127  # exit code of a shell for an unknown command
_ABOUT_S = 3.0  # timeout of `/v1/about`
_NAMES = TypeAdapter(frozenset[str])
_WHICH_PYTHON = "import sys; print(sys.executable)"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _KnownHashes:
    """Hashes of the binaries that one server keeps. Thread-safe.

    A kept binary is used only if it has the hash that was reported when it was made, before any program ran. So a file
    that another program puts in its place is never run.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._salt = secrets.token_hex(8)  # so that names differ from those of other processes
        self._sha256: dict[str, str] = {}

    def look_up(self, layout: ProgramLayout) -> tuple[str, str]:
        """Return the name of the program, and the hash of its binary; "" if unknown."""
        key = layout.digest(self._salt)
        with self._lock:
            return key, self._sha256.get(key, "")

    def learn(self, key: str, sha256: str) -> None:
        """Remember the hash of a binary. Text that is no hash is ignored."""
        if key and _SHA256.fullmatch(sha256):
            with self._lock:
                self._sha256[key] = sha256


class FusionExecutor(ServerExecutor):
    """Runs programs on a SandboxFusion server. Thread-safe. Arguments as for `ServerExecutor`."""

    def _set_up(self) -> None:
        self._asking = threading.Lock()
        self._about: About | None = None
        self._listed: frozenset[str] | None = None
        self._asked = False
        self._python = ""
        self._natively: set[str] = set()  # languages that the server runs, but a script cannot
        self._scripts: bool | None = None  # whether scripts report there; None: unknown
        self._hashes = _KnownHashes()
        self._trials = Trials(lambda program: self._run_once(FusionRun(program, b"", HELLO_LIMITS, {})))
        self._native_trials = Trials(lambda program: self._run_natively(FusionRun(program, b"", HELLO_LIMITS, {})))

    # -- what the server is ------------------------------------------------------------------------

    def _reported_languages(self) -> frozenset[str]:
        about = self._server_info()
        if about is not None:
            return frozenset(about.languages)
        if self._listed is not None:
            return frozenset(name for name in self._known if self._lists(name))
        return frozenset(name for name in self._known if self.runs(name))  # tries each, once

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
                    about = self._server.get_if_there("/v1/about", within_s=_ABOUT_S, at_most=2**16)
                    self._about = About.model_validate_json(about) if about is not None else None
                    if about is None:
                        listed = self._server.get_if_there("/v1/languages", within_s=_ABOUT_S, at_most=2**16)
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
            raise CannotTell(f"it is unknown whether the server runs {program.language}", endpoint=self._url)
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
            return self._done(run, ours(run, compiles=language is None or bool(language.compile)))
        if language is None or name in self._natively or self._scripts is False:
            return self._run_natively(run)
        layout = lay_out(language, run.program)
        key, options = self._script_options(layout, run.limits)
        context = self._context(run.program, run.limits)
        answer = self._post(scripted(run, language, layout, options), run.limits)
        end = script_end_of(answer, context)
        if self._scripts is None and (end.reports or end.exit_code == 0):
            self._scripts = bool(end.reports)
            if not self._scripts:  # it has the API, but is not SandboxFusion
                return self._run_natively(run)
        result = script_result_of(end, context, compiles=bool(layout.compile))
        self._server.check_output(result.execution.stdout.decode("utf-8", "replace"))
        self._hashes.learn(key, result.sha256)
        return result.execution

    def _run_natively(self, run: FusionRun) -> Execution:
        language = self._known.get(run.program.language)
        name = (language and language.native) or run.program.language
        return self._done(run, native(run, name, compiles=language is None or bool(language.compile)))

    def _done(self, run: FusionRun, request: FusionRequest) -> Execution:
        """Return the end of a run that the server makes without a script."""
        done = execution_of_answer(self._post(request, run.limits), self._context(run.program, run.limits))
        self._server.check_output(done.stdout.decode("utf-8", "replace"))
        return done

    def _script_options(self, layout: ProgramLayout, limits: Limits) -> tuple[str, ScriptOptions]:
        if layout.compile:
            key, sha256 = self._hashes.look_up(layout)
            return key, ScriptOptions(stored=key, sha256=sha256)
        return "", ScriptOptions(python=self._which_python(limits) if "{python}" in layout.run else "python3")

    def _which_python(self, limits: Limits) -> str:
        """Return the interpreter that the server itself uses, because it has packages that others lack."""
        if not self._python:
            done = self._run_natively(FusionRun(Program("python", _WHICH_PYTHON), b"", limits, {}))
            path = done.stdout.decode("utf-8", "replace").strip()
            plain = done.status is Status.FINISHED and path.startswith("/") and path.isprintable()
            self._python = path if plain else "python3"
        return self._python

    def _post(self, request: FusionRequest, limits: Limits) -> RunCodeAnswer:
        body = request.body.model_dump_json(exclude_none=True).encode()
        within_s, at_most = request.total_s + self.margin_s, json_bytes(limits.output_bytes)
        return self._server.post("/run_code", body, RunCodeAnswer, within_s=within_s, at_most=at_most)

    def ping(self) -> None:
        """Return if the server answers. Raises EndpointError."""
        content = self._server.get("/v1/ping", within_s=PING_S, at_most=PING_BYTES)
        if content.strip(b'" \r\n') != b"pong":
            raise self._server.failed("did not answer /v1/ping with pong; is it a SandboxFusion server?")
