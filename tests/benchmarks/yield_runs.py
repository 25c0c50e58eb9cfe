"""Runs of one package for the yield: on all its own data, and on made-up inputs where it has its samples only.

Decides which packages there are, and what made-up inputs may know of one: neither secret data nor the programs
that made them. What a run says is for `yield_found`.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from balancer.errors import BalancerError, ConfigError
from balancer.pipeline.packages.read import read_problem
from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.running.run import RunOptions, run_pipeline
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.settings.config import parse_config
from tests.benchmarks.yield_found import MadeUp, Own, look_at_made_up, look_at_own

__all__ = ["Package", "copy_samples_only", "find", "made_up_inputs", "own_data"]

_MARK = "problem.yaml"
_NOT_FOR_GENERATORS = ("generators", ".git")
_FOR_GENERATORS = ("sample", "testdata.yaml", "test_group.yaml")  # of data


@dataclass(frozen=True, slots=True)
class Package:
    """A package, as it was read, or why it could not be."""

    label: str
    path: Path
    problem: Problem | None
    why_not: str = ""


def find(folders: Sequence[Path]) -> list[Package]:
    """Read all packages in these folders and the folders in them, by path; labels say where in the folder they lie."""
    found = []
    for folder in folders:
        inside: list[Path] = []
        for path in sorted(mark.parent for mark in folder.rglob(_MARK) if mark.is_file()):
            if not any(other in path.parents for other in inside):
                inside.append(path)
        found += [_read(path, _label(folder, path)) for path in inside]
    return found


def _label(folder: Path, path: Path) -> str:
    own = str(path.relative_to(folder))
    return folder.resolve().name if own == "." else f"{folder.resolve().name}/{own}"


def _read(path: Path, label: str) -> Package:
    try:
        problem = read_problem(path)
    except (BalancerError, OSError) as error:
        return Package(label, path, None, str(error).splitlines()[0].replace(f"{path}/", ""))
    if not problem.wrong:
        return Package(label, path, None, "no wrong submission that can be used")
    return Package(label, path, problem)


def own_data(
    package: Package, registry: Registry, results: Path, settings: Mapping[str, Any], *, again: bool = False
) -> Own:
    """Judge a package on its own data alone; a run that is in `results` and still holds is not made again.

    Args:
        settings: of `[pipeline]`, for made-up inputs: limits of time hold here as well.

    Raises:
        BalancerError: it cannot be judged.
    """
    folder = results / "own" / package.label.replace("/", "+")
    limits = {name: value for name, value in settings.items() if name.startswith("time_limit")}
    settings = {"problems": str(package.path), "generators": ["data"], "max_inputs": 0, "max_rounds": 1, **limits}
    if again:
        _, problem, seconds = _run(settings, folder, registry, fresh=True)
        return look_at_own(problem, seconds)
    try:
        _, problem, seconds = _run(settings, folder, registry, fresh=False)
    except ConfigError:  # the package has changed
        _, problem, seconds = _run(settings, folder, registry, fresh=True)
    return look_at_own(problem, seconds)


def made_up_inputs(package: Package, own: Own, registry: Registry, settings: Mapping[str, Any]) -> MadeUp:
    """Judge a copy of a package that has no data but its samples, on made-up inputs.

    Args:
        own: what all its own data say.
        settings: of `[pipeline]`: budget, number of inputs, generators.

    Raises:
        BalancerError: it cannot be judged, e.g. because it has no samples.
    """
    with TemporaryDirectory(prefix="balancer-yield-") as temporary:
        copy = Path(temporary) / "problem" / package.path.name
        copy_samples_only(package.path, copy)
        result, problem, seconds = _run(
            {**settings, "problems": str(copy)}, Path(temporary) / "results", registry, fresh=True
        )
    limit_s = package.problem.time_limit_s if package.problem else None
    factor = float(settings.get("time_limit_factor", 1.0))
    return look_at_made_up(problem, own, result.spans, limit_s and limit_s * factor, seconds, result.brought)


def copy_samples_only(source: Path, target: Path) -> None:
    """Copy a package without data but its samples, and without what made them; links become files."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        out = [name for name in names if not (Path(folder) / name).exists()]  # links to nowhere
        if Path(folder) == source:
            out += [name for name in names if name in _NOT_FOR_GENERATORS]
        if Path(folder) == source / "data":
            out += [name for name in names if name not in _FOR_GENERATORS]
        return out

    shutil.copytree(source, target, ignore=left_out)


def _run(
    settings: Mapping[str, Any], results: Path, registry: Registry, *, fresh: bool
) -> tuple[RunResult, ProblemResult, float]:
    """Run one package on this machine; returns all, the problem's part, and how long it took."""
    began_s = time.monotonic()
    raw = {"pool": {"strategy": "least_in_flight"}, "pipeline": {**settings, "results": str(results)}}
    config = parse_config(raw, file="bench", environ={})
    result = run_pipeline(config, registry, Console(file=StringIO()), RunOptions(fresh=fresh))
    if result.stopped_by:
        raise KeyboardInterrupt
    if not result.problems:
        raise BalancerError("; ".join([*result.reasons, "nothing was judged"]))
    return result, result.problems[0], time.monotonic() - began_s
