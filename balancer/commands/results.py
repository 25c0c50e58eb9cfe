"""`balancer report`, `merge` and `diff`: commands that read the results of earlier runs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from balancer.errors import ConfigError

if TYPE_CHECKING:
    from balancer.pipeline.results.diff import Difference, ProblemChange
    from balancer.pipeline.results.run_result import RunResult
    from balancer.pipeline.results.store import Store

__all__ = ["differ", "difference_lines", "put_together", "write_again"]

_MOST_NAMES = 5  # of a problem
_MOST_LINES = 12  # of each kind, so that all of it fits on one screen


def write_again(folder: Path, say: Callable[[str], object]) -> "tuple[RunResult, Path]":
    """Write the report and the other output files again from the results in `folder`. Asks no endpoint.

    Returns:
        the result of the run, and the path of the report page.

    Raises:
        ConfigError: there are no results, or another process is writing them.
    """
    from balancer.pipeline.report import write_report
    from balancer.pipeline.report.export import conclude

    with _opened(folder) as store:
        found = conclude(store, folder, say)
    return found, write_report(found, folder)


def put_together(folders: Sequence[Path], into: Path, say: Callable[[str], object]) -> "tuple[RunResult, Path]":
    """Merge the results of shares in `into`, and write the report. Returns and raises as `write_again`."""
    from balancer.pipeline.report import write_report
    from balancer.pipeline.report.export import conclude
    from balancer.pipeline.results.transfer import merge

    with merge(folders, into) as store:
        found = conclude(store, into, say)
    return found, write_report(found, into)


def differ(before: Path, after: Path) -> "Difference":
    """Return what differs between the results in two folders. Raises ConfigError as `write_again`."""
    from balancer.pipeline.results.diff import difference

    if before.resolve() == after.resolve():
        raise ConfigError(f"{before} and {after} are the same folder; name two")
    with _opened(before) as first, _opened(after) as then:
        return difference(first, then)


@contextmanager
def _opened(folder: Path) -> "Iterator[Store]":
    from balancer.pipeline.results.log import DATABASE
    from balancer.pipeline.results.store import Store

    if not (folder / DATABASE).exists():
        raise ConfigError(f"{folder}: holds no results; name the results folder of a run, with its {DATABASE}")
    with Store(folder) as store:
        if not store.source or not store.sessions():
            raise ConfigError(f"{folder}: its run was stopped before it began; run it again")
        yield store


def difference_lines(found: "Difference") -> Iterator[str]:
    """Yield the lines that `balancer diff` prints."""
    counts = found.counts
    only = f"{counts['only_before']} only before, {counts['only_after']} only after"
    yield f"{found.problems_in_both} problems in both, {only}"
    before, after = (_rate(found.wrong_killed[n], found.wrong_judged[n]) for n in (0, 1))
    yield f"wrong submissions killed: before {before}, after {after} (in both)"
    yield f"cases gained {found.cases_gained}, lost {found.cases_lost}; verdicts that differ: {counts['verdicts']}"
    if found.same:
        yield "nothing else differs"
    yield from _some("only before", found.only_before, counts["only_before"])
    yield from _some("only after", found.only_after, counts["only_after"])
    yield from _some("problems that changed", map(_change, found.changed), counts["changed"])
    verdicts = (f"{v.problem}/{v.submission} on case {v.case}: {v.before} -> {v.after}" for v in found.verdicts)
    yield from _some("verdicts that differ", verdicts, counts["verdicts"])


def _change(found: "ProblemChange") -> str:
    before, after = (_rate(*each) for each in zip(found.wrong_killed, found.wrong_judged, strict=True))
    said = [f"killed {before} -> {after}, cases +{len(found.cases_gained)} -{len(found.cases_lost)}"]
    for words, names in (
        ("killed now", found.killed_now),
        ("survive now", found.survive_now),
        ("not judged now", found.not_judged_now),
        ("new cases", found.cases_gained),
        ("cases gone", found.cases_lost),
    ):
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        said += [f"{words}: {', '.join(names[:_MOST_NAMES])}{more}"] if names else []
    return f"{found.problem}: {'; '.join(said)}"


def _rate(part: int, whole: int) -> str:
    return f"{part}/{whole}" if whole else "none judged"


def _some(title: str, found: Iterable[str], count: int) -> Iterator[str]:
    lines = list(found)
    if not lines:
        return
    yield ""
    yield f"{title}:"
    yield from (f"  {line}" for line in lines[:_MOST_LINES])
    if count > _MOST_LINES:
        yield f"  ... and {count - _MOST_LINES} more (--json has the first {len(lines)})"
