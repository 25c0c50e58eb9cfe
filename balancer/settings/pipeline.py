"""`[pipeline]`: which problems, how many threads, how many inputs, how much patience.

Decides names, defaults and ranges. It must not know how anything is judged.
"""

from typing import Annotated

from pydantic import Field

from balancer.settings.rows import RowSettings
from balancer.settings.tables import Settings

__all__ = ["PipelineSettings"]


Workers = Annotated[int, Field(ge=1, le=1000)]


class PipelineSettings(Settings):
    """`[pipeline]`: which problems, how many threads, how many inputs, how much patience.

    Attributes:
        problems: folder of problem packages, or rows of a data set, relative to the current folder.
        results: folder for the results, likewise.
        sample_level_workers: problems at work at once.
        output_generation_workers, solution_validation_workers: threads a problem uses in each function.
        generators: names of the input generators, in the order they are asked.
        max_inputs: valid inputs wanted per problem beyond its own data.
        max_proposals: proposals asked of each generator per problem to get them.
        seed: of the generators.
        max_rounds: how often inputs are proposed, the first time included, while some wrong submission survives.
        quorum: the part of the accepted submissions that must agree on a case, the reference solution among them.
        rows: `[pipeline.rows]`: which rows, where `problems` names a data set.
        attempts: tries for one program run before it counts as unjudged; at least one on each endpoint.
        outage_s: while nothing in the run succeeds, it is tried beyond that for so many seconds.
        time_limit_s: CPU seconds for a run where the package names no limit.
        time_limit_factor: multiplies the package's own limits (they are for other machines).
        quiet_label: endpoints with this label re-run time limits that an overload may have caused.
    """

    problems: str
    results: str = "results"
    sample_level_workers: Workers = 4
    output_generation_workers: Workers = 8
    solution_validation_workers: Workers = 8
    generators: list[str] = Field(default_factory=lambda: ["data", "mutate"])
    max_inputs: Annotated[int, Field(ge=0)] = 30
    max_proposals: Annotated[int, Field(ge=0)] = 60
    seed: int = 1
    max_rounds: Annotated[int, Field(ge=1, le=100)] = 3
    quorum: Annotated[float, Field(ge=0.5, le=1)] = 1.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    outage_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    time_limit_factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    quiet_label: str = "quiet"
    rows: RowSettings = RowSettings()
