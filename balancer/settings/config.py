"""The config file: TOML in, frozen and validated settings out, with errors that say what to do.

It expands ranges and `${ENV}`. A config is data: nothing in it is executed. Values from the environment are secret: use
`Config.redact` before printing.
"""

import os
import re
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.settings.llm import LlmSettings
from balancer.settings.pipeline import PipelineSettings, VerifySettings
from balancer.settings.pool import DiscoverySettings, EndpointSettings, PoolSection, TraceSettings
from balancer.settings.proxy import ProxySettings, tenant_mistakes
from balancer.settings.rules import HolderSettings, LimitSettings, QuotaSettings, RetrySettings
from balancer.settings.tables import EnabledHealth, HealthSection, Place, Settings, key_of, problems_of, read_toml
from balancer.values.redaction import Redaction
from balancer.values.urls import identity_of
from balancer.values.wording import did_you_mean

__all__ = ["Config", "load_config", "on_one_machine"]


_SCENARIO = (
    "this is a scenario of the simulator, as it has [workload]: balancer simulate reads it; a "
    "config has [pool], [[endpoints]] or [pipeline]"
)


def _local_endpoints() -> list[EndpointSettings]:
    return [EndpointSettings(url=f"local://{{1..{os.cpu_count() or 1}}}")]


class Config(Settings):
    """A whole config file.

    Attributes:
        pool: `[pool]`.
        endpoints: `[[endpoints]]`. Without any: one `local://` endpoint for each core; none if there is a discovery.
        discovery: `[discovery.NAME]`: sources of further endpoints, by name.
        health: `[health]`; None if it is not enabled.
        limits: `[limits]`.
        host_caps: `[host_caps]`: how many slots the endpoints of a host may use together; "*": for any other host.
        quotas: `[quotas]`: calls and tokens a minute, by name.
        holders: `[holders]`: weights and bounds with `pool.fairness`, by name; "*": for each holder without an entry.
        retries: `[retries]`.
        pipeline: `[pipeline]`, or None.
        verify: `[verify]`: which runs of the pipeline are repeated on another endpoint.
        llm: `[llm]`, or None.
        trace: `[trace]`, or None.
        proxy: `[proxy]`: of `balancer proxy`.
    """

    pool: PoolSection = PoolSection()
    endpoints: Annotated[list[EndpointSettings], Field(default_factory=_local_endpoints, min_length=1)]
    discovery: dict[str, DiscoverySettings] = Field(default_factory=dict)
    health: EnabledHealth = HealthSection()
    limits: LimitSettings = LimitSettings()
    host_caps: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    quotas: dict[str, QuotaSettings] = Field(default_factory=dict)
    holders: dict[str, HolderSettings] = Field(default_factory=dict)
    retries: RetrySettings = RetrySettings()
    pipeline: PipelineSettings | None = None
    verify: VerifySettings = VerifySettings()
    llm: LlmSettings | None = None
    trace: TraceSettings | None = None
    proxy: ProxySettings = ProxySettings()

    @model_validator(mode="after")
    def _none_of_its_own(self) -> Self:
        if self.discovery and "endpoints" not in self.model_fields_set:
            self.__dict__["endpoints"] = []
        return self

    def __repr__(self) -> str:  # short, as any field may hold a secret from the environment
        return f"<Config of {len(self.pool_endpoints)} endpoints, {'with' if self.pipeline else 'without'} a pipeline>"

    __str__ = __repr__

    _file: str = PrivateAttr(default="the config")
    _redaction: Redaction = PrivateAttr(default=Redaction())

    @property
    def file(self) -> str:
        """The path of the file."""
        return self._file

    @property
    def redaction(self) -> Redaction:
        """The replacement of each value that came from the environment."""
        return self._redaction

    def located(self, key: str, error: ConfigError) -> ConfigError:
        """Return `error`, redacted, with the file and the key before each of its lines."""
        return ConfigError(f"{self._file}: {self.redact(f'{key}: {line}')}" for line in error.problems)

    def redact(self, text: str) -> str:
        """Return `text` with "${NAME}" in place of each value that came from the environment.

        A value shorter than 4 characters is replaced only if it is the whole text.
        """
        return self._redaction(text)

    @property
    def decided_by_server(self) -> tuple[str, ...]:
        """The tables of the file that the server decides if the pool is served: `[[endpoints]]`, `[health]`."""
        said = [f"[{name}]" for name in _SERVERS if name in self.model_fields_set]
        said += [f"pool.{key}" for key in _SERVERS_OF_POOL if key in self.pool.model_fields_set]
        return (*(["[[endpoints]]"] if "endpoints" in self.model_fields_set else []), *said)

    @property
    def pool_endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints as the pool takes them."""
        return tuple(endpoint for entry in self.endpoints for endpoint in entry.specs)


def on_one_machine(endpoints: Iterable[Endpoint]) -> bool:
    """Return whether all of these are this machine. Then two of them are not two independent witnesses."""
    return all(endpoint.url.startswith("local://") for endpoint in endpoints)


_SERVERS = ("discovery", "health", "limits", "host_caps", "quotas", "holders", "trace")
_SERVERS_OF_POOL = ("strategy", "options", "spill_after_s", "max_waiters", "fairness", "seed")


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
    """Return the config of the parsed TOML `raw`; `file` is its name in errors.

    What several entries say together is looked at only if each can be used.
    """
    if "workload" in raw and raw.keys().isdisjoint(("pool", "pipeline", "llm", "proxy")):
        raise ConfigError(f"{file}: {_SCENARIO}")
    environment = _Environment(environ)
    filled = environment.fill(raw, ())
    secret = environment.filled
    try:
        config = Config.model_validate(filled)
    except ValidationError as error:
        found = problems_of(error, Config, secret=lambda place, _: "headers" in place or _touches(place, secret))
    else:
        found = _duplicates(config, secret) + _without_effect(config)
        found += [f"proxy.{line}" for line in tenant_mistakes(config.proxy.tenants)]
        found += _unknown_hosts(config, secret) + _unknown_quotas(config, secret)
    unset = {line.partition(": ")[0] for line in environment.problems}  # what stands in their place is no mistake
    problems = environment.problems + [line for line in found if line.partition(": ")[0] not in unset]
    if problems:
        raise ConfigError(f"{file}: {line}" for line in problems)
    config._file = file
    config._redaction = Redaction.of(environment.shown, least=_LEAST_SECRET)
    return config


_LEAST_SECRET = 4


# -- mistakes that are about several entries ------------------------------------------------------------


def _duplicates(config: Config, secret: set[Place]) -> list[str]:
    first: dict[str, int] = {}  # by identity, the number of the entry
    lines = []
    for number, entry in enumerate(config.endpoints):
        key, rule = ("url", _URLS_DIFFER) if entry.name is None else ("name", "names must differ")
        for name in entry.names:
            identity = identity_of(name)
            if identity in first:
                known = first[identity]
                places = [("endpoints", each, part) for each in (number, known) for part in ("url", "name")]
                hidden = any(_touches(place, secret) for place in places)
                found = "it" if hidden else repr(name)
                there = "" if hidden else f" ({_as_written(config.endpoints[known])})"
                lines.append(f"endpoints[{number}].{key}: {found} is in endpoints[{known}] already{there}; {rule}")
            first.setdefault(identity, number)
    return lines


def _without_effect(config: Config) -> list[str]:
    """Return a line for tables that only the server decides, and one for holders without fair shares."""
    lines = []
    if config.pool.connect is not None and (said := config.decided_by_server):
        lines.append(f"pool.connect: that server decides {', '.join(said)}; remove them here, or remove connect")
    if config.holders and config.pool.fairness is None:
        lines.append('holders: they have no effect without fairness = "holder" in [pool]; set it, or leave them out')
    return lines


def _as_written(entry: EndpointSettings) -> str:
    """Return the text of an entry's names, with its range: url = "http://a/"."""
    return f'url = "{entry.url}"' if entry.name is None else f'name = "{entry.name}"'


def _unknown_hosts(config: Config, secret: set[Place]) -> list[str]:
    """Return a line for each cap of a host without an endpoint. A host from the environment is not shown."""
    if config.discovery:  # their hosts are not known yet
        return []
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


def _unknown_quotas(config: Config, secret: set[Place]) -> list[str]:
    """Return a line for each endpoint with an unknown quota, and for each quota without an endpoint."""
    lines = []
    known = sorted(config.quotas)
    for number, entry in enumerate(config.endpoints):
        if entry.quota is not None and entry.quota not in known:
            found = "it" if _touches(("endpoints", number, "quota"), secret) else repr(entry.quota)
            near = "" if found == "it" else did_you_mean(entry.quota, known)
            lines.append(f"endpoints[{number}].quota: {found} is not in [quotas]{near} (quotas: {_few(known)})")
    for source, settings in config.discovery.items():
        if settings.quota is not None and settings.quota not in known:
            lines.append(f"discovery.{source}.quota: it is not in [quotas] (quotas: {_few(known)})")
    named = {entry.quota for entry in config.endpoints} | {source.quota for source in config.discovery.values()}
    lines += [
        f"quotas.{name}: no endpoint has quota = {name!r}; set it there, or remove this quota"
        for name in known
        if name not in named
    ]
    return lines


_ANY_HOST = "*"
_URLS_DIFFER = "URLs must differ, or each must have a name"


def _few(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none to show") + more


def _touches(place: Place, secret: set[Place]) -> bool:
    """Return whether the value at `place` is, contains, or is part of a secret."""
    return any(place[: len(other)] == other[: len(place)] for other in secret)


class _Environment:
    """Replaces `${NAME}`, and remembers what and where, so that these values are never shown."""

    _NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.filled: set[Place] = set()
        self.shown: set[tuple[str, str]] = set()  # a value, and the text shown in its place
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
