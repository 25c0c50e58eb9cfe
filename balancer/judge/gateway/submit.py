"""SandboxFusion's `/submit` over a judge: a completion of a model, judged on the tests of a row.

The row is in the request (`config.provided_data`), as this server has no data sets. Two of SandboxFusion's forms of
rows are known:

- `CommonOJDataset`: pairs of standard input and output. Lines are compared without case and surrounding blanks; lines
  that are one number, within a relative 1e-5.
- `AutoEvalDataset`: test code that is run together with the program, and must end with exit code 0.

As there, the first fenced block in the right language is the program, and judging stops at the first wrong case.
"""

import json
import math
import secrets
from contextlib import aclosing
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from balancer.hookspecs import HttpAnswer, HttpCall
from balancer.judge.extract import code_in
from balancer.judge.fences import blocks_of, names_of
from balancer.judge.gateway.fusion import job_of, language_of, run
from balancer.judge.gateway.requests import Gateway, Refused, json_answer, read
from balancer.sandbox.fusion.wire import RunCodeAnswer, RunCodeRequest, RunStatus
from balancer.sandbox.server.answer import answer_of

__all__ = ["submit"]

_CASES, _CODE = "CommonOJDataset", "AutoEvalDataset"
_TABLES: Final = {"code_contests": _CASES}  # data sets that SandboxFusion knows by their name
_RUN_S, _RUN_COMPILED_S, _COMPILE_S = 20.0, 10.0, 10.0
_CODE_COMPILE_S = 40.0
_WITHIN_S = 600.0
_SHOWN = 1000  # characters of a case that was passed, in the answer
_INSERT: Final = "#<INSERT>"
_TOLERANCE: Final = 1e-5


class SubmitConfig(BaseModel):
    """`config` of a request."""

    dataset_type: str | None = None
    language: str | None = None
    compile_timeout: float | None = Field(None, gt=0, le=3600, allow_inf_nan=False)
    run_timeout: float | None = Field(None, gt=0, le=3600, allow_inf_nan=False)
    custom_extract_logic: str | None = None
    provided_data: dict[str, Any] | list[Any] | None = None
    extra: dict[str, Any] = Field(default_factory=dict)


class SubmitRequest(BaseModel):
    """Body of `POST /submit`."""

    dataset: str
    id: int | str
    completion: str
    config: SubmitConfig


class StdioCase(BaseModel):
    """One test of a row: standard streams by the names `stdin` and `stdout`."""

    input: dict[str, str]
    output: dict[str, str]


class CodeTest(BaseModel):
    """The test of a row that is code. `asset`: its files, name -> base64."""

    code: str
    asset: dict[str, str] | str | None = None


class CodeLabels(BaseModel):
    """The labels of a row whose test is code."""

    programming_language: str
    execution_language: str | None = None


class SubmittedCase(BaseModel):
    """What came of one test."""

    passed: bool
    exec_info: RunCodeAnswer
    test_info: dict[str, Any] | None = None


class SubmitAnswer(BaseModel):
    """Answer to `POST /submit`."""

    id: int | str
    accepted: bool
    extracted_code: str
    full_code: str | None = None
    test_code: str | None = None
    tests: list[SubmittedCase]
    extracted_type: str | None = None
    extra: dict[str, Any] | None = None


async def submit(gateway: Gateway, call: HttpCall) -> HttpAnswer:
    """Answer `POST /submit`. Raises Refused."""
    asked = read(call, SubmitRequest)
    config = asked.config
    kind = _TABLES.get(asked.dataset, config.dataset_type)
    if kind not in (_CASES, _CODE):
        raise Refused(400, f"dataset_type is {str(kind)[:100]!r}; it must be {_CASES} or {_CODE}")
    if config.custom_extract_logic is not None:
        raise Refused(400, "custom_extract_logic is code for the server, which runs none; leave it out")
    if not isinstance(config.provided_data, dict):
        raise Refused(
            400, "config.provided_data must be a row of the data set; this server has no data sets of its own"
        )
    judged = await (_on_cases if kind == _CASES else _on_code)(gateway, call, asked, config.provided_data)
    return json_answer(judged)


# -- cases of standard input and output ----------------------------------------------------------------


async def _on_cases(gateway: Gateway, call: HttpCall, asked: SubmitRequest, row: dict[str, Any]) -> SubmitAnswer:
    config = asked.config
    if not config.language:
        raise Refused(400, f"config.language is missing; {_CASES} needs the language of the program")
    cases = _cases_of(_loaded(row, "test"))
    language = language_of(config.language)
    code = _code_of(asked.completion, language)
    compiled = language in ("cpp", "c", "java", "go")
    limits = {
        "compile_timeout": config.compile_timeout or _COMPILE_S,
        "run_timeout": config.run_timeout or (_RUN_COMPILED_S if compiled else _RUN_S),
    }
    jobs = [job_of(RunCodeRequest(code=code, language=language, stdin=each.input["stdin"], **limits)) for each in cases]
    results: list[SubmittedCase] = []
    async with aclosing(gateway.execute_all(call, jobs)) as ended:
        async for executed in ended:
            case = cases[executed.number]
            info = answer_of(executed.ended(), language)
            well = info.status is RunStatus.SUCCESS
            passed = well and _same_lines(executed.stdout, case.output["stdout"])
            whole = not passed or bool(config.extra.get("return_full_case"))
            results.append(SubmittedCase(passed=passed, exec_info=info, test_info=_told(case, whole=whole)))
            if not passed and not config.extra.get("run_all_cases"):
                break
    return SubmitAnswer(id=asked.id, accepted=all(each.passed for each in results), extracted_code=code, tests=results)


def _cases_of(found: Any) -> list[StdioCase]:
    if not isinstance(found, list):
        raise Refused(400, "provided_data.test must be a list of cases with input.stdin and output.stdout")
    cases = [_model(StdioCase, f"provided_data.test.{number}", each) for number, each in enumerate(found)]
    for number, case in enumerate(cases):
        if "stdin" not in case.input or "stdout" not in case.output:
            raise Refused(400, f"provided_data.test.{number}: input.stdin or output.stdout is missing")
    return cases


def _told(case: StdioCase, *, whole: bool) -> dict[str, Any]:
    def cut(text: str) -> str:
        half = (_SHOWN - 3) // 2
        return text if whole or len(text) <= _SHOWN else f"{text[:half]}...{text[-half:]}"

    return {
        "input": {name: cut(text) for name, text in case.input.items()},
        "output": {name: cut(text) for name, text in case.output.items()},
    }


def _same_lines(printed: str, expected: str) -> bool:
    ours, theirs = printed.strip().split("\n"), expected.strip().split("\n")
    return len(ours) == len(theirs) and all(map(_same_line, ours, theirs))


def _same_line(printed: str, expected: str) -> bool:
    printed, expected = printed.strip().lower(), expected.strip().lower()
    if printed == expected:
        return True
    try:
        ours, theirs = float(printed), float(expected)
    except ValueError:
        return False
    return math.isfinite(ours) and abs(ours - theirs) / max(abs(theirs), 1e-10) < _TOLERANCE


# -- tests that are code -------------------------------------------------------------------------------


async def _on_code(gateway: Gateway, call: HttpCall, asked: SubmitRequest, row: dict[str, Any]) -> SubmitAnswer:
    config = asked.config
    test = _model(CodeTest, "provided_data.test", _loaded(row, "test"))
    labels = _model(CodeLabels, "provided_data.labels", _loaded(row, "labels"))
    runs_in = labels.execution_language or labels.programming_language
    code = _without_start(_code_of(asked.completion, labels.programming_language), labels.programming_language)
    whole = _joined(code, test.code, quoted=bool(config.extra.get("repr_code")))
    flag = ""
    if config.extra.get("append_flag") and runs_in == "python":
        flag = secrets.token_hex(10)
        whole += f'\n\nprint("{flag}")'
    assets = _loaded({"asset": test.asset or {}}, "asset")
    try:
        run_asked = RunCodeRequest(
            code=whole,
            language=runs_in,
            compile_timeout=config.compile_timeout or _CODE_COMPILE_S,
            run_timeout=config.run_timeout or _RUN_S,
            files=assets,
        )
    except ValidationError:
        raise Refused(400, "provided_data.test.asset must have files by their name, as base64") from None
    info = await run(gateway, call, run_asked, _WITHIN_S)
    printed = (info.run_result.stdout or "") if info.run_result is not None else ""
    passed = info.status is RunStatus.SUCCESS and flag in printed
    return SubmitAnswer(
        id=asked.id,
        accepted=passed,
        extracted_code=code,
        full_code=whole,
        tests=[SubmittedCase(passed=passed, exec_info=info)],
        extra={},
    )


def _without_start(code: str, language: str) -> str:
    """Return `code` without what starts it by itself, so that test code can follow it."""
    ends = {"python": 'if __name__ == "__main__":', "cpp": "int main()"}
    if language == "go":
        code = code.replace("package main", "")
    for end in (ends.get(language, ""), "# Example usage"):
        if end and end in code:
            code = code[: code.index(end)].strip()
    return code


def _joined(code: str, test: str, *, quoted: bool) -> str:
    if _INSERT not in test and "if __name__ ==" in code:
        code = code[: code.index("if __name__ ==")]
    code = repr(code) if quoted else code
    before, found, after = test.partition(_INSERT)
    return before + code + after if found else f"{code}\n{test}"


# -- rows and completions ------------------------------------------------------------------------------


def _loaded(row: dict[str, Any], key: str) -> Any:
    """Return a field of the row, which may be a text with JSON. Raises Refused."""
    if key not in row:
        raise Refused(400, f"provided_data has no field {key!r}")
    if not isinstance(row[key], str):
        return row[key]
    try:
        return json.loads(row[key], strict=False)
    except (ValueError, RecursionError):
        raise Refused(400, f"provided_data.{key} is a text that is not JSON") from None


def _model(form: Any, where: str, found: Any) -> Any:
    try:
        return form.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        at = ".".join([where, *map(str, first["loc"])])
        raise Refused(400, f"{at[:200]}: {first['msg']}") from None


def _code_of(completion: str, language: str) -> str:
    """Return the first block in `language`, else the first one, else what looks like a program; "" if nothing does."""
    blocks = [each for each in blocks_of(completion, names_of(language)) if not each.inline]
    first = next((each for each in blocks if each.tag in names_of(language)), blocks[0] if blocks else None)
    return first.code.removesuffix("\n") if first is not None else code_in(completion, language) or ""
