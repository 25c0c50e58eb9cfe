"""The executor for HTTP endpoints that speak SandboxFusion's API: its own servers, and `balancer sandbox`.

Decides which kind of server it speaks to, which request belongs to a run, how long its answer may take and how large it
may be. How a run is put into words is `request`'s business, what the answer means is `answer`'s and `told`'s, and what
can go wrong on the way is `sandbox.http.client`'s.
"""

import threading
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from balancer.errors import CannotTell, EndpointError
from balancer.program import Execution, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.fusion.answer import execution_of_answer, flaw_in
from balancer.sandbox.fusion.hashes import KnownHashes
from balancer.sandbox.fusion.request import FusionRequest, native, ours, scripted
from balancer.sandbox.fusion.script import ScriptOptions
from balancer.sandbox.fusion.script_result import has_words, script_result_of
from balancer.sandbox.fusion.wire import About, RunCodeAnswer
from balancer.sandbox.http.adapter import MARGIN_S, PING_BYTES, PING_S, ServerExecutor, json_bytes
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.languages.layout import ProgramLayout, lay_out
from balancer.sandbox.trial import HELLO_LIMITS, Trials

__all__ = ["FusionExecutor"]

_NOT_FOUND = 127  # what shells say of a command that is not there
_TELLS_S = 3.0  # for a server to say what it is
_NAMES = TypeAdapter(frozenset[str])
_WHICH_PYTHON = "import sys; print(sys.executable)"


class FusionExecutor(ServerExecutor):
    """Runs programs on a SandboxFusion server. Thread-safe. Arguments as for `ServerExecutor`."""

    def _begin(self, options: ExecutorOptions) -> None:
        self._known = known_languages() if options.known is None else options.known
        self._asking = threading.Lock()
        self._about: About | None = None
        self._listed: frozenset[str] | None = None
        self._asked = False
        self._python = ""
        self._natively: set[str] = set()  # languages that the server runs, but no script on it
        self._scripts: bool | None = None  # whether scripts say something there, as far as is known
        self._kept = KnownHashes()
        self._trials = Trials(lambda program: self._run(program, b"", HELLO_LIMITS, {}))
        self._native_trials = Trials(lambda program: self._run_natively(program, b"", HELLO_LIMITS, {}))

    # -- what the server is ------------------------------------------------------------------------

    def _reported_languages(self) -> frozenset[str]:
        about = self._told()
        if about is not None:
            return frozenset(about.languages)
        if self._listed is not None:
            return frozenset(name for name in self._known if self._lists(name))
        return frozenset(name for name in self._known if self.runs(name))  # tries each, once

    def _known_languages(self) -> frozenset[str]:
        return frozenset(self._known)

    def runs(self, language: str) -> bool:
        """Return whether it can run `language`; tried once, with a tiny program, unless the config says."""
        if self._allowed is not None:
            return language in self._allowed
        about, known = self._told(), self._known.get(language)
        if (about is not None and language not in about.languages) or not self._lists(language):
            return False
        if known is None:
            return about is not None
        works = self._trials.works(known)
        if works is False and about is None and known.native:  # perhaps its tools are where only the server finds them
            works = self._native_trials.works(known)
            if works:
                self._natively.add(language)
        return works is not False

    def _lists(self, language: str) -> bool:
        """Return whether it may have `language`, by the list that a server without `/v1/about` may have."""
        known = self._known.get(language)
        return self._listed is None or language in self._listed or (known is not None and known.native in self._listed)

    def _told(self) -> About | None:
        """Return what the server says of itself: our own ones do; None if it does not, or does not answer now."""
        with self._asking:
            if not self._asked:
                try:
                    told = self._server.get_if_there("/v1/about", within_s=_TELLS_S, at_most=2**16)
                    self._about = About.model_validate_json(told) if told is not None else None
                    if told is None:
                        listed = self._server.get_if_there("/v1/languages", within_s=_TELLS_S, at_most=2**16)
                        self._listed = _NAMES.validate_json(listed) if listed is not None else None
                    self._asked = True
                except ValidationError:
                    self._asked = True  # it is something else
                except EndpointError:
                    return None  # and is asked again
            return self._about

    # -- a run -------------------------------------------------------------------------------------

    def run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        """Run `program` once, as the protocol says.

        Header values are "***" in what the server says and in the standard error. The standard output is left as it is,
        for verdicts depend on it: one that holds a value of 20 characters or more is the server's fault.

        `balancer sandbox` measures CPU time. On SandboxFusion a script does, and its word is taken only against the
        program; a language that no script can run there has wall time only, and at most 128 KiB of output. So has
        everything on a server where scripts end well without a word.

        Raises:
            EndpointError: the server failed or did not answer in time.
            EndpointOverloaded: it said that it has too much to do.
            ValueError: the language is not known, or a file name is not allowed.
        """
        done = self._run(program, stdin, limits, files)
        if (done.status is Status.COMPILE_ERROR or done.exit_code == _NOT_FOUND) and not self._surely_runs(program):
            raise CannotTell(f"it is not known that the server runs {program.language}", endpoint=self._url)
        return done

    def _surely_runs(self, program: Program) -> bool:
        """Return whether the language is there for sure; one that failed when it was tried is tried again."""
        language = self._known.get(program.language)
        if self._allowed is not None or self._told() is not None or language is None or not language.hello:
            return True
        return bool(self._trials.works(language, again=True)) or program.language in self._natively

    def _run(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        about = self._told()
        language = self._known.get(program.language)
        if about is not None:
            compiles = language is None or bool(language.compile)
            asked = ours(program, stdin, limits, files, compiles=compiles)
            return self._meaning(self._post(asked, limits), program, limits)
        if language is None or program.language in self._natively or self._scripts is False:
            return self._run_natively(program, stdin, limits, files)
        laid = lay_out(language, program)
        key, recipe = self._recipe(laid, limits)
        asked = scripted(language, laid, program, stdin, limits, files, recipe)
        answer = self._post(asked, limits)
        flaw = flaw_in(answer, self._server.redact)
        if flaw or answer.run_result is None:
            raise EndpointError(flaw or "the answer has no run_result", endpoint=self._url)
        if self._scripts is None and (has_words(answer.run_result) or answer.run_result.went_well):
            self._scripts = has_words(answer.run_result)
            if not self._scripts:  # it speaks the API, and is no SandboxFusion
                return self._run_natively(program, stdin, limits, files)
        told = script_result_of(
            answer.run_result,
            {name: answer.files.get(name, "") for name in asked.body.fetch_files},
            language=program.language,
            compiles=asked.compiles,
            limits=limits,
            endpoint=self._url,
            redact=self._server.redact,
        )
        self._server.check_output(told.execution.stdout.decode("utf-8", "replace"))
        self._kept.learn(key, told.sha256)
        return told.execution

    def _run_natively(self, program: Program, stdin: bytes, limits: Limits, files: Mapping[str, bytes]) -> Execution:
        language = self._known.get(program.language)
        name = (language and language.native) or program.language
        compiles = language is None or bool(language.compile)
        asked = native(program, name, stdin, limits, files, compiles=compiles)
        return self._meaning(self._post(asked, limits), program, limits)

    def _recipe(self, laid: ProgramLayout, limits: Limits) -> tuple[str, ScriptOptions]:
        if laid.compile:
            key, sha256 = self._kept.look_up(laid)
            return key, ScriptOptions(stored=key, sha256=sha256)
        return "", ScriptOptions(python=self._which_python(limits) if "{python}" in laid.run else "python3")

    def _which_python(self, limits: Limits) -> str:
        """Return the interpreter that the server itself would take: it has packages, which others lack."""
        if not self._python:
            done = self._run_natively(Program("python", _WHICH_PYTHON), b"", limits, {})
            path = done.stdout.decode("utf-8", "replace").strip()
            plain = done.status is Status.FINISHED and path.startswith("/") and path.isprintable()
            self._python = path if plain else "python3"
        return self._python

    def _post(self, asked: FusionRequest, limits: Limits) -> RunCodeAnswer:
        body = asked.body.model_dump_json(exclude_none=True).encode()
        at_most = json_bytes(limits.output_bytes)
        return self._server.post("/run_code", body, RunCodeAnswer, within_s=asked.total_s + MARGIN_S, at_most=at_most)

    def _meaning(self, answer: RunCodeAnswer, program: Program, limits: Limits) -> Execution:
        done = execution_of_answer(
            answer, language=program.language, limits=limits, endpoint=self._url, redact=self._server.redact
        )
        self._server.check_output(done.stdout.decode("utf-8", "replace"))
        return done

    def ping(self) -> None:
        """Return if the server answers.

        Raises:
            EndpointError: it does not, or it is something else.
        """
        content = self._server.get("/v1/ping", within_s=PING_S, at_most=PING_BYTES)
        if content.strip(b'" \r\n') != b"pong":
            raise self._server.failed("answered /v1/ping with something else than pong; is it a SandboxFusion server?")
