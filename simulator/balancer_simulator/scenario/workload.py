"""Workloads and kinds of requests, as data: open, closed and batch.

`world.sources`, `world.conversations` and `world.batch` simulate them.
"""

from itertools import cycle, islice
from typing import Annotated, Literal

from pydantic import Field, model_validator

from balancer.settings.tables import CheckedInPython
from balancer_simulator.scenario.distributions import (
    LEAST_S,
    Count,
    Deterministic,
    Distribution,
    Exponential,
    Positive,
    Seconds,
)

__all__ = [
    "Arrivals",
    "Batch",
    "Closed",
    "Conversations",
    "Kind",
    "OnOff",
    "Open",
    "Poisson",
    "Requests",
    "Stage",
    "Workload",
]

Limit = Annotated[float, Field(ge=LEAST_S, allow_inf_nan=False)]
Mean = Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Poisson(CheckedInPython):
    """Open: requests arrive at random, `rate_per_s` on average, without regard to earlier ones."""

    kind: Literal["poisson"] = "poisson"
    rate_per_s: Positive


class OnOff(CheckedInPython):
    """Open and bursty: Poisson at one rate while on and at another while off; both last exponentially long."""

    kind: Literal["on_off"] = "on_off"
    on_rate_per_s: Positive
    off_rate_per_s: Seconds = 0.0
    on_s: Positive = 10.0
    off_s: Positive = 10.0

    @property
    def rate_per_s(self) -> float:
        """The mean rate."""
        return (self.on_rate_per_s * self.on_s + self.off_rate_per_s * self.off_s) / (self.on_s + self.off_s)


class Arrivals(CheckedInPython):
    """Open, as recorded: requests arrive at the given instants (seconds since the start, in order).

    `work_s`, if given, is the work of each, and `kinds` the index of its kind in `requests.kinds`, 0 for the first;
    else work and kinds are drawn. Either the lists are given or `file`, a trace, relative
    to the scenario; `recorded` reads it.

    `prompts`, if given, are the prompts: the names of the blocks of each, with a slash between two, where a name stands
    for all of the prompt up to there; "": it has none. `sessions` are the names of the sessions; "": of none.

    If the work is recorded too, every replication is the same: one sample, which has no interval.
    """

    kind: Literal["arrivals"] = "arrivals"
    at_s: list[Seconds] = Field(default_factory=list)
    work_s: list[Seconds] = Field(default_factory=list)
    kinds: list[Annotated[int, Field(ge=0)]] = Field(default_factory=list)
    prompts: list[str] = Field(default_factory=list)
    sessions: list[str] = Field(default_factory=list)
    file: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Arrivals":
        if bool(self.at_s) == bool(self.file):
            raise ValueError("give the instants either as at_s or as file")
        columns = {name: getattr(self, name) for name in ("work_s", "kinds", "prompts", "sessions")}
        if self.file and any(columns.values()):
            raise ValueError("with a file, work, kinds, prompts and sessions are in it; leave them out")
        if self.at_s != sorted(self.at_s):
            raise ValueError("at_s must be in order")
        for name, values in columns.items():
            if values and len(values) != len(self.at_s):
                raise ValueError(f"{name} has {len(values)} values and at_s has {len(self.at_s)}; give one for each")
        return self


class Conversations(CheckedInPython):
    """Conversations with LLM servers: they begin at random, and each has turns, whose prompts hold all that was said.

    A prompt is a list of blocks. It begins with the `system_blocks` of one of `systems` system prompts, the n-th as
    often as 1 / n; each of the `turns` `adds` some blocks: both are means of geometric numbers. The next turn comes a
    `think` time after the answer to the last one, or after its loss. Each conversation is a session.
    """

    kind: Literal["conversations"] = "conversations"
    conversations_per_s: Positive
    turns: Mean
    adds: Mean
    think: Distribution = Exponential(mean_s=10.0)
    systems: Count = 1
    system_blocks: Annotated[int, Field(ge=0, le=1_000_000)] = 8

    @property
    def rate_per_s(self) -> float:
        """Requests per second, on average."""
        return self.conversations_per_s * self.turns


class Closed(CheckedInPython):
    """`workers` callers, each of whom thinks, asks, waits for its answer, and begins again.

    `calls`: after this number of requests of all workers nobody asks again, and the run ends with the last answer.
    None: they continue until the horizon.
    """

    kind: Literal["closed"] = "closed"
    workers: Count
    think: Distribution = Deterministic(mean_s=0.0)
    calls: Annotated[int, Field(ge=1, le=100_000_000)] | None = None


class Stage(CheckedInPython):
    """A stage of a sample: a pool of `workers` threads works off `tasks` tasks, then the next stage begins.

    `work` is of one task; default: that of its kind, or the scenario's. A worker
    thinks before each task; None: not at all. `kind` is the name of the kind of its tasks; default: kinds are drawn.
    The stage begins `late` seconds after the one before, e.g. because inputs are made first; of the first stage, after
    the sample before. None: at once.
    """

    name: str
    tasks: Count
    workers: Count
    kind: str | None = None
    late: Distribution | None = None
    work: Distribution | None = None
    think: Distribution | None = None


class Batch(CheckedInPython):
    """A batch like the pipeline's: `samples`, some of them at once, each through its stages in order.

    `counts` has the number of tasks of each stage, for each sample, in the order in which they begin; a stage without
    tasks is left out. Without it they are those of the stage.
    """

    kind: Literal["batch"] = "batch"
    samples: Count
    samples_at_once: Count = 4
    stages: Annotated[list[Stage], Field(min_length=1)]
    counts: list[list[Annotated[int, Field(ge=0, le=1_000_000)]]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_each(self) -> "Batch":
        if self.counts and len(self.counts) != self.samples:
            raise ValueError(
                f"counts has {len(self.counts)} values, but there are {self.samples} samples; give one for each"
            )
        if wrong := [each for each in self.counts if len(each) != len(self.stages)]:
            raise ValueError(
                f"counts has {wrong[0]}, but there are {len(self.stages)} stages; give one number for each"
            )
        return self

    @property
    def calls(self) -> int:
        """Number of tasks of all samples, about."""
        if self.counts:
            return sum(map(sum, self.counts))
        return max(1, round(self.samples * sum(stage.tasks for stage in self.stages)))

    def with_calls(self, calls: int) -> "Batch":
        """Return the batch with more or fewer samples, for about so many tasks: the same ones again, in order."""
        samples = max(1, round(self.samples * calls / self.calls))
        return self.model_copy(update={"samples": samples, "counts": list(islice(cycle(self.counts), samples))})


Open = Poisson | OnOff | Arrivals
Workload = Annotated[Poisson | OnOff | Arrivals | Conversations | Closed | Batch, Field(discriminator="kind")]


class Kind(CheckedInPython):
    """A kind of request, with its share of all requests (shares are relative).

    `slots` is how many slots of one endpoint it takes; at the endpoint it is one call like any other. `tokens` is what
    it reserves of a quota; `used_tokens` what its answer reports as used, if it succeeds. `acquire_timeout_s` is how
    long it waits for an endpoint. `holder` has a share of the slots, if the scenario has `fairness`.
    """

    name: str = "all"
    share: Positive = 1.0
    labels: list[str] = Field(default_factory=list)
    priority: int = 0
    slots: Count = 1
    tokens: Annotated[int, Field(ge=0)] | None = None
    used_tokens: Annotated[int, Field(ge=0)] | None = None
    acquire_timeout_s: Limit | None = None
    work: Distribution | None = None
    holder: str = ""


class Requests(CheckedInPython):
    """Settings of all requests, and their kinds.

    Attributes:
        attempts: calls made for a request until one succeeds; a retry avoids endpoints that failed, if another one
            can serve it.
        call_timeout_s: a call that takes longer is given up and counts as a failure of the endpoint.
        hedge_after_s: a call that takes longer is made a second time, elsewhere; the first success counts.
        kinds: one, unless they differ.
    """

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    call_timeout_s: Limit | None = None
    hedge_after_s: Limit | None = None
    kinds: Annotated[list[Kind], Field(min_length=1)] = Field(default_factory=lambda: [Kind()])
