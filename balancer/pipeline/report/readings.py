"""What a person reads in a report: survivors and contested cases, with their sources and inputs.

The only module of the report that asks the store for its problems, beside `export`. Decides how much of them is shown.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from balancer.pipeline.generators.draw.largest import SHORTFALL
from balancer.pipeline.report.tables import facts
from balancer.pipeline.results.problem_log import CaseState, StoredCase
from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.run_result import Reading, RunResult
from balancer.pipeline.results.store import Store
from balancer.problem import Origin
from balancer.reporting import document as doc
from balancer.reporting.words import seconds, shorten, size

__all__ = ["with_readings"]

_MOST = 30
_MOST_OF_A_PROBLEM = 5
_NEAREST = 3
_MOST_SOURCE = 4000  # characters
_MOST_TEXT = 600  # characters of an input or an answer
_MOST_SAID = 400


def with_readings(store: Store, result: RunResult) -> RunResult:
    """Return the result with some of its survivors and contested cases, to be read."""
    problems = result.problems
    return replace(
        result,
        readings=tuple(islice((each for problem in problems for each in _survivors(store, problem)), _MOST)),
        contested=tuple(islice((each for problem in problems for each in _contested(store, problem)), _MOST)),
    )


# -- survivors -----------------------------------------------------------------------------------------


def _survivors(store: Store, problem: ProblemResult) -> Iterator[Reading]:
    """Yield some survivors, with the cases beside them that reject most of the others."""
    survivors = {each.name: each for each in problem.survivors}
    programs = [each for each in store.problems.surviving(problem.id) if each.name in survivors]
    if not programs:
        return
    tally = store.problems.tally(problem.id)
    rejects = problem.rejects
    chosen = sorted(rejects, key=lambda case: (-len(rejects[case]), case))[:_NEAREST]
    nearest = [block for case in chosen for block in _near(store.of(problem.id).case(case), rejects[case])]
    beside = tuple(nearest) or (doc.Paragraph("No case rejects any submission of this problem."),)
    largest = max(problem.ready, key=lambda case: case.size)
    shortfall = next((f"; {line}" for line in problem.notes if line.startswith(SHORTFALL)), "")
    replaced = sum(case.state is CaseState.REPLACED for case in problem.cases)
    limit = f" of {seconds(tally.limit_s)}" if tally and tally.limit_s else ""
    for program in programs[:_MOST_OF_A_PROBLEM]:
        times_s = survivors[program.name].times_s
        slowest = max(times_s, key=lambda case: times_s[case], default=largest.id)
        inputs: defaultdict[int, list[str]] = defaultdict(list)
        for case, what in ((largest.id, "largest"), (slowest, "slowest"), *((each, "nearest") for each in chosen)):
            inputs[case].append(what)
        links = ((_input(problem.id, case), f" ({', '.join(what)})  ") for case, what in inputs.items())
        passed = f"all {len(problem.ready)}" + f", and {replaced} that later rounds replaced" * (replaced > 0)
        about = (
            doc.Heading(f"The program ({program.language})"),
            _text(program.source, _MOST_SOURCE),
            facts(
                [
                    ("cases it passed", passed),
                    ("slowest run", f"{seconds(times_s.get(slowest, 0.0))}{limit}"),
                    ("largest input", f"{size(largest.size)}{shortfall}"),
                    ("inputs", tuple(chain.from_iterable(links))),
                ]
            ),
            doc.Heading("Five more minutes for it; with servers, add the tables of your config"),
            doc.Preformatted(tuple(_more(problem.id, store.source))),
        )
        shown = doc.Details((doc.code(problem.id), " ", doc.code(program.name)), (about, beside))
        yield Reading(problem.id, tuple(inputs), shown)


def _near(case: StoredCase, rejects: list[str]) -> Iterator[doc.Block]:
    yield doc.Heading(f"Case {case.id} rejects {len(rejects)}: {_origin(case.origin)}")
    yield doc.Paragraph(shorten(", ".join(rejects), 200), soft=True)
    yield _text(case.data)
    yield doc.Paragraph("expected", soft=True)
    yield _text(case.answer or b"")


def _more(problem: str, source: Mapping[str, str]) -> Iterator[str]:
    """Yield the commands that judge one problem for five minutes."""
    place, is_rows = source.get("problems", ""), "split" in source
    if not is_rows and Path(place).name != problem:
        place = f"{place}/{problem}"
    yield from ("cat > more.toml <<'END'", "[pipeline]", f"problems = {json.dumps(place)}")
    yield from (f"results = {json.dumps(f'more/{problem}')}", "budget_s = 300")
    if is_rows:
        yield from ("[pipeline.rows]", f"split = {json.dumps(source['split'])}", f"ids = [{json.dumps(problem)}]")
    yield from ("END", "balancer run more.toml")


# -- contested cases -----------------------------------------------------------------------------------


def _contested(store: Store, problem: ProblemResult) -> Iterator[Reading]:
    """Yield some contested cases, with what each submission that ran on it says of its expected output."""
    log = store.of(problem.id)
    voices = {each.name for each in problem.accepted} | {each.submission for each in problem.disagreements}
    for case in log.cases(CaseState.CONTESTED)[:_MOST_OF_A_PROBLEM]:
        said = (
            (doc.code(name), shorten(each.note or each.verdict.value.replace("_", " "), _MOST_SAID))
            for (name, _), each in log.verdicts([case]).items()
            if name in voices
        )
        columns = (doc.Column("submission", doc.ColumnKind.NAME), doc.Column("its answer", doc.ColumnKind.TEXT))
        given = doc.Heading(("The input: ", _input(problem.id, case.id))), _text(case.data)
        answers = (
            doc.Heading("The expected output, from the reference solution"),
            _text(case.answer or b""),
            doc.table(columns, said),
        )
        summary = (doc.code(problem.id), f" case {case.id}: {_origin(case.origin)}")
        yield Reading(problem.id, (case.id,), doc.Details(summary, (given, answers)))


def _input(problem: str, case: int) -> doc.Written:
    return doc.Written(f"{case:03}.in", file=f"inputs/{problem}/{case:03}.in")


def _origin(origin: Origin) -> str:
    return shorten(f"{origin.generator}: {origin.detail}", 80)


def _text(data: bytes | str, most: int = _MOST_TEXT) -> doc.Preformatted:
    """Return the beginning of a text, line by line."""
    text = data if isinstance(data, str) else data[: most * 4].decode(errors="replace")
    return doc.Preformatted(tuple((text if len(text) <= most else f"{text[:most]}\n... (cut)").split("\n")))
