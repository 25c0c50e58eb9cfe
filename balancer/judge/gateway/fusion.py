"""SandboxFusion's `/run_code` over a judge: the request of one run, and its answer.

A run is one on any executor: SandboxFusion's own names of languages are understood, as are the fields that only our
servers have. What cannot be done on every executor is refused: `fetch_files`.

The answer comes within the request's limits and some seconds, as verl's client waits for 10 s beyond them. After a 504
that client asks again, up to twice. After any other error it counts the program as wrong.
"""

from dataclasses import replace
from typing import Final

from balancer.hookspecs import HttpAnswer, HttpCall
from balancer.judge.executed import ExecuteJob
from balancer.judge.gateway.requests import Gateway, Refused, json_answer, read
from balancer.sandbox.fusion.wire import RunCodeAnswer, RunCodeRequest
from balancer.sandbox.languages.known import known_languages
from balancer.sandbox.server.answer import answer_of, run_of

__all__ = ["language_of", "run", "run_code"]

_ANSWER_S: Final = 8.0  # beyond the limits of the request, for waiting and for tries elsewhere
# A client means wall time. Where CPU time is measured, that decides, and a busy server may take longer.
_WALL_FACTOR, _WALL_S = 1.25, 1.0


def language_of(name: str) -> str:
    """Return our name of a language that has the name `name` here or at SandboxFusion. Raises Refused."""
    known = known_languages()
    if name in known:
        return name
    ours = next((language.name for language in known.values() if language.native == name), None)
    if ours is None:
        raise Refused(422, f"language {name[:100]!r} is not known; known are {', '.join(sorted(known))}")
    return ours


async def run_code(gateway: Gateway, call: HttpCall) -> HttpAnswer:
    """Answer `POST /run_code`. Raises Refused."""
    asked = read(call, RunCodeRequest)
    if asked.fetch_files:
        raise Refused(
            422, "fetch_files has names; not every executor of a pool can return files, so print them instead"
        )
    within_s = asked.compile_timeout + asked.run_timeout + _ANSWER_S
    return json_answer(await run(gateway, call, asked, within_s))


async def run(gateway: Gateway, call: HttpCall, asked: RunCodeRequest, within_s: float) -> RunCodeAnswer:
    """Make the run that `asked` asks for, for `call`, and return its answer. Raises Refused."""
    executed = await gateway.execute(call, job_of(asked), within_s)
    return answer_of(executed.ended(), language_of(asked.language))


def job_of(asked: RunCodeRequest) -> ExecuteJob:
    """Return the run that `asked` asks for. Raises Refused."""
    asked = asked.model_copy(update={"language": language_of(asked.language)})
    try:
        made = run_of(asked)
        limits = made.limits
        if asked.wall_timeout is None:
            limits = replace(limits, wall_s=_WALL_FACTOR * asked.run_timeout + _WALL_S)
        return ExecuteJob(made.program, made.stdin, dict(made.files), limits)
    except ValueError as error:
        raise Refused(422, str(error)) from None
