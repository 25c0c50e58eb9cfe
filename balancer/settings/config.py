"""TOML in, frozen and validated settings out, with errors that say what to do.

Decides what a config may hold, what is assumed where it is silent, and how ranges and `${ENV}` expand.
A config is data: nothing in it is executed. It must not know whether a strategy exists (`check` asks the
registry) and must never show a value that came from the environment: `Config.redact` is for those who print.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from os import PathLike
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.settings.endpoints import EndpointTable
from balancer.settings.headers import Headers
from balancer.settings.ranges import expand_range
from balancer.settings.redaction import Redaction
from balancer.settings.rules import DEFAULT_STRATEGY, EnabledHealth, HealthSection, LimitSettings, RetrySettings
from balancer.settings.salvage import STAND_IN, without
from balancer.settings.tables import Place, Settings, key_of, problems_of, read_toml
from balancer.settings.urls import checked_server_url, identity_of
from balancer.settings.wording import did_you_mean

__all__ = ["Config", "EndpointSettings", "PipelineSettings", "PoolSettings", "load_config", "sound_part"]


class PoolSettings(Settings):
    """`[pool]`: how endpoints are chosen and waited for.

    Attributes:
        strategy: which endpoint is next; `balancer strategies` lists them.
        options: the strategy's own.
        acquire_timeout_s: seconds an acquire waits unless it says otherwise; absent: for ever.
        max_waiters: acquires that may wait at once; one more fails; absent: any number.
        seed: makes the strategy's random choices repeatable; absent: a random seed.
    """

    strategy: str = DEFAULT_STRATEGY
    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    acquire_timeout_s: Annotated[float, Field(gt=0)] | None = None
    ttl_s: Annotated[float, Field(gt=0)] | None = None
    leak_after_s: Annotated[float, Field(gt=0)] | None = None
    max_waiters: Annotated[int, Field(ge=0)] | None = None
    seed: int | None = None


def _checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    try:
        Headers(_plain(headers))
    except ValueError as error:  # it names a header, and quotes no value
        raise PydanticCustomError("header", "{why}", {"why": str(error)}) from None
    return headers


def _plain(headers: dict[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


class EndpointSettings(EndpointTable):
    """`[[endpoints]]`: one server or, with ranges in its URL, several.

    Attributes:
        url: where it is, with ranges such as {1..4} for several.
        name: what it is called in the pool; absent: its URL. A range in `url` asks for one of as many in `name`.
        capacity: leases out at once.
        weight: its share of the work, for strategies that look at weights.
        labels: what it offers; a request for labels is served only by endpoints that have them all.
        host: the machine it runs on; absent: the host part of `url`.
        headers: sent with every request of an http endpoint, and given to the caller with the lease; never shown.
        isolation: how a `local://` endpoint keeps programs apart from the machine: "auto", "bubblewrap", "unshare" or
            "rlimits" (not at all).
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    headers: Annotated[dict[str, SecretStr], AfterValidator(_checked_headers)] = Field(default_factory=dict)
    isolation: Literal["auto", "bubblewrap", "unshare", "rlimits"] = "auto"

    @field_validator("url")
    @classmethod
    def _servers(cls, url: str) -> str:
        for each in expand_range(url):
            checked_server_url(each)
        return url

    @model_validator(mode="after")
    def _as_many_names(self) -> Self:
        urls, names = len(self.urls), len(self.names)
        if urls != names:
            raise ValueError(
                f"name: the url stands for {urls} endpoints and the name for {names}; names differ, so give both a "
                f'range of as many, such as name = "a-{{1..{urls}}}", or leave the name out'
            )
        return self

    @property
    def names(self) -> list[str]:
        """The names of the endpoints this entry stands for."""
        return self.urls if self.name is None else expand_range(self.name)

    @property
    def specs(self) -> list[Endpoint]:
        """The endpoints this entry stands for, as a pool takes them."""
        headers = Headers(_plain(self.headers))
        return [
            Endpoint(
                url,
                name=name,
                capacity=self.capacity,
                weight=self.weight,
                labels=frozenset(self.labels),
                host=self.host,
                headers=headers,
            )
            for url, name in zip(self.urls, self.names, strict=True)
        ]


def _local_endpoints() -> list[EndpointSettings]:
    return [EndpointSettings(url=f"local://{{1..{os.cpu_count() or 1}}}")]


Workers = Annotated[int, Field(ge=1, le=1000)]


class PipelineSettings(Settings):
    """`[pipeline]`: which problems, how many threads, how many inputs, how much patience.

    Attributes:
        problems: folder of problem packages, relative to the current folder.
        results: folder for the results, likewise.
        sample_level_workers: problems at work at once.
        output_generation_workers, solution_validation_workers: threads a problem uses in each function.
        generators: names of the input generators, in the order they are asked.
        max_inputs: valid inputs wanted per problem beyond its own data.
        max_proposals: proposals asked of each generator per problem to get them.
        seed: of the generators.
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
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    outage_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    time_limit_factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    quiet_label: str = "quiet"


class Config(Settings):
    """A whole config file.

    Attributes:
        pool: `[pool]`.
        endpoints: `[[endpoints]]`; without any: one `local://` endpoint a core.
        health: `[health]`; None if it is not enabled.
        limits: `[limits]`.
        host_caps: `[host_caps]`: for a host, how many slots its endpoints may have in use together; "*": for any other.
        retries: `[retries]`.
        pipeline: `[pipeline]`, or None.
    """

    pool: PoolSettings = PoolSettings()
    endpoints: Annotated[list[EndpointSettings], Field(default_factory=_local_endpoints, min_length=1)]
    health: EnabledHealth = HealthSection()
    limits: LimitSettings = LimitSettings()
    host_caps: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    retries: RetrySettings = RetrySettings()
    pipeline: PipelineSettings | None = None

    def __repr__(self) -> str:  # short, for any field may hold what came from the environment
        return f"<Config of {len(self.pool_endpoints)} endpoints, {'with' if self.pipeline else 'without'} a pipeline>"

    __str__ = __repr__

    _file: str = PrivateAttr(default="the config")
    _redaction: Redaction = PrivateAttr(default=Redaction())

    def located(self, key: str, error: ConfigError) -> ConfigError:
        """Return `error`, redacted, with the file and the key that each of its lines is about."""
        return ConfigError(f"{self._file}: {self.redact(f'{key}: {line}')}" for line in error.problems)

    def redact(self, text: str) -> str:
        """Return `text` with "${NAME}" for each value that came from the environment.

        A value of less than 4 characters is no secret, and is hidden only where it is the whole text.
        """
        return self._redaction(text)

    @property
    def pool_endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints as the pool takes them."""
        return tuple(endpoint for entry in self.endpoints for endpoint in entry.specs)


def load_config(path: str | PathLike[str], *, environ: Mapping[str, str] | None = None) -> Config:
    """Read the TOML file at `path`.

    Args:
        path: the file.
        environ: where `${NAME}` is looked up; default: the process environment.

    Raises:
        ConfigError: with one line for each thing to fix: file, key, what was found, what is allowed.
    """
    return parse_config(read_toml(path), file=str(path), environ=os.environ if environ is None else environ)


def parse_config(raw: dict[str, Any], *, file: str, environ: Mapping[str, str]) -> Config:
    """Return the config that the parsed TOML `raw` describes; `file` names it in errors."""
    environment = _Environment(environ)
    filled = environment.fill(raw, ())
    problems = environment.problems
    try:
        config = Config.model_validate(filled)
    except ValidationError as error:
        problems += problems_of(error, Config, secret=partial(_hidden, environment.filled))
    else:
        problems += _duplicates(config, environment.filled) + _unknown_hosts(config, environment.filled)
    if problems:
        raise ConfigError(f"{file}: {line}" for line in problems)
    config._file = file
    config._redaction = Redaction.of(environment.shown, least=_LEAST_SECRET)
    return config


def sound_part(
    path: str | PathLike[str], *, environ: Mapping[str, str] | None = None
) -> tuple[Config | None, tuple[str, ...]]:
    """Return what can be used of the file at `path`, and a line for each mistake in the rest.

    Where there are mistakes the config is good for nothing but to look for more of them; None if nothing can be used.
    """
    try:
        raw = read_toml(path)
    except ConfigError as error:
        return None, error.problems
    environment = _Environment(os.environ if environ is None else environ)
    filled = environment.fill(raw, ())
    problems = environment.problems
    config = None
    for round_ in range(_ROUNDS):
        try:
            config = Config.model_validate(filled)
            break
        except ValidationError as error:
            if not round_:
                problems += problems_of(error, Config, secret=partial(_hidden, environment.filled))
            filled = without(filled, [details["loc"] for details in error.errors()])
    if config is not None:
        usable = [entry for entry in config.endpoints if not entry.url.startswith(STAND_IN)]
        problems += _duplicates(config, environment.filled)
        if len(usable) == len(config.endpoints):
            problems += _unknown_hosts(config, environment.filled)
        config = config.model_copy(update={"endpoints": usable})
        config._file = str(path)
        config._redaction = Redaction.of(environment.shown, least=_LEAST_SECRET)
    return config, tuple(f"{path}: {line}" for line in problems)


_ROUNDS = 5  # what is left of a file may have a mistake of its own, e.g. a table that lacks what was taken out
_LEAST_SECRET = 4


def _hidden(secret: set[Place], place: Place, details: ErrorDetails) -> bool:
    return _touches(place, secret) or "headers" in place


def _duplicates(config: Config, secret: set[Place]) -> list[str]:
    first: dict[str, int] = {}  # by identity, the number of the entry
    lines = []
    for number, entry in enumerate(config.endpoints):
        key, rule = ("url", "URLs must differ") if entry.name is None else ("name", "names must differ")
        for name in entry.names:
            identity = identity_of(name)
            if identity in first:
                known = first[identity]
                places = [("endpoints", each, part) for each in (number, known) for part in ("url", "name")]
                found = "it" if any(_touches(place, secret) for place in places) else repr(name)
                lines.append(f"endpoints[{number}].{key}: {found} is in endpoints[{known}] already; {rule}")
            first.setdefault(identity, number)
    return lines


def _unknown_hosts(config: Config, secret: set[Place]) -> list[str]:
    """Return a line for each cap of a host that has no endpoint; a host from the environment is not shown."""
    shown: set[str | None] = set()
    hosts = {endpoint.host for endpoint in config.pool_endpoints}
    for number, entry in enumerate(config.endpoints):
        if not any(_touches(("endpoints", number, key), secret) for key in ("url", "host")):
            shown |= {endpoint.host for endpoint in entry.specs}
    known = sorted(filter(None, shown))
    return [
        f"host_caps.{host}: no endpoint is on this host{did_you_mean(host, known)} (hosts: {_few(known)})"
        for host in config.host_caps
        if host not in hosts and host != _ANY_HOST
    ]


_ANY_HOST = "*"


def _few(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none that can be shown") + more


def _touches(place: Place, secret: set[Place]) -> bool:
    """Return whether what stands at `place` is, holds, or is part of something secret."""
    return any(place[: len(other)] == other[: len(place)] for other in secret)


class _Environment:
    """Fills `${NAME}` in and remembers what and where, so that what came from there is never shown."""

    _NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.filled: set[Place] = set()
        self.shown: set[tuple[str, str]] = set()  # a value, and what is shown instead
        self.problems: list[str] = []

    def fill(self, value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            return {key: self.fill(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*place, index)) for index, item in enumerate(value)]
        if isinstance(value, str):
            return self._NAME.sub(lambda match: self._look_up(match[1], place), value)
        return value

    def _look_up(self, name: str, place: Place) -> str:
        self.filled.add(place)
        if name not in self._environ:
            self.problems.append(f"{key_of(place)}: ${{{name}}} is not set; export {name}, or write the value here")
            return "unset"
        value = self._environ[name]
        self.shown.add((value, f"${{{name}}}"))
        return value
