"""`[pipeline]` and `[verify]`: problems, threads, inputs, time limits and trust."""

from typing import Annotated, Literal

from pydantic import Field

from balancer.settings.tables import Settings

__all__ = ["PipelineSettings", "RowSettings", "VerifySettings"]

Workers = Annotated[int, Field(ge=1, le=1000)]
_Kind = Literal["public", "private", "generated"]
_Some = Annotated[int, Field(ge=1)] | Literal["all"]


class RowSettings(Settings):
    """`[pipeline.rows]`: which rows of a data set to use.

    Attributes:
        split: the split of a data set that has several.
        limit: rows to look at; None: all.
        ids: only the rows with these names; empty: all.
        right: how many right solutions of a row to use, or "all".
        wrong: how many wrong ones.
        tests: the kinds of known tests that count as the row's own data.
        testlib: path of testlib.h, for checkers, validators and generators of rows that include it; "": they are not
            used.
    """

    split: str = "train"
    limit: Annotated[int, Field(ge=1)] | None = None
    ids: list[str] = Field(default_factory=list)
    right: _Some = 4
    wrong: _Some = 8
    tests: Annotated[list[_Kind], Field(min_length=1)] = Field(default=["public", "private"])
    testlib: str = ""


class VerifySettings(Settings):
    """`[verify]`: which runs of a pipeline are repeated on another endpoint, to find servers that lie.

    Attributes:
        share: the part of all runs.
        first: runs of each endpoint are repeated until so many in a row agreed with another endpoint.
    """

    share: Annotated[float, Field(ge=0, le=1)] = 0.01
    first: Annotated[int, Field(ge=0)] = 10

    @property
    def surprises(self) -> bool:
        """Whether wrong answers of accepted programs, compile errors, and kills by only one case are repeated, too."""
        return bool(self.share or self.first)


class PipelineSettings(Settings):
    """`[pipeline]`: which problems, how many threads, how many inputs, which time limits.

    Attributes:
        problems: folder of problem packages, or rows of a data set, relative to the current folder.
        results: folder for the results, relative to the current folder.
        sample_level_workers: how many problems run at once.
        output_generation_workers, solution_validation_workers: threads of a problem in each function.
        generators: names of the input generators, in the order of use.
        max_inputs: valid inputs wanted per problem beyond its own data.
        seed: of the generators.
        max_rounds: how often inputs are proposed, the first time included, while some wrong submission survives.
        budget_s: seconds for made-up inputs, per problem; 0: as long as `max_rounds` rounds take.
        rows: `[pipeline.rows]`: which rows, if `problems` is a data set.
        attempts: tries for one program run before it counts as unjudged; at least one on each endpoint.
        outage_s: while nothing in the run succeeds, further tries are made for so many seconds.
        time_limit_s: CPU seconds for a run if the package has no limit.
        time_limit_factor: multiplies the package's own limits (they are for other machines).
        compile_s: CPU seconds for a compiler, per program. The limit of wall time is three times as much, plus 10 s.
        python: what runs Python submissions: "python" (CPython), or "pypy", if an endpoint has it.
    """

    problems: str
    results: str = "results"
    sample_level_workers: Workers = 4
    output_generation_workers: Workers = 8
    solution_validation_workers: Workers = 8
    generators: list[str] = Field(default_factory=lambda: ["data", "package", "grammar", "mutate"])
    max_inputs: Annotated[int, Field(ge=0)] = 30
    seed: int = 1
    max_rounds: Annotated[int, Field(ge=1, le=100)] = 3
    budget_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    outage_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    time_limit_factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    compile_s: Annotated[float, Field(gt=0, le=1000)] = 30.0
    python: Literal["python", "pypy"] = "python"
    rows: RowSettings = RowSettings()
