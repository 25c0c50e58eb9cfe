"""Start of a discovery: from settings to a follower of a source."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from balancer.discovery.follower import ChangePool, Discovery
from balancer.discovery.reconcile import LeavingRules
from balancer.errors import ConfigError
from balancer.hookspecs import EndpointTemplate, Source, SourceError
from balancer.plugins.registry import Registry
from balancer.settings.pool import DiscoverySettings
from balancer.values.redaction import with_whole_characters

if TYPE_CHECKING:
    from balancer.settings.config import Config

__all__ = ["begun", "discoveries_of"]


def begun(
    name: str,
    settings: DiscoverySettings,
    registry: Registry,
    change: ChangePool,
    clock: Callable[[], float],
    *,
    kind: type[Source] | None = None,
) -> Discovery:
    """Return a discovery that has not been started. `kind`: the class of its source; None: `settings` names it.

    Raises:
        ConfigError: no plugin has the source, or an option is wrong.
        MissingExtra: the source needs an extra.
    """
    said = settings.model_dump(include={"scheme", "path", "capacity", "weight", "group", "quota"})
    template = EndpointTemplate(labels=frozenset(settings.labels), headers=settings.secret_headers, **said)
    try:
        source = registry.source(kind or settings.source, settings.options, template)
    except SourceError as error:
        raise ConfigError(f"source {(kind.name if kind else settings.source)!r}: {error}") from None
    return Discovery(with_whole_characters(name), source, LeavingRules(settings.grace_s), change, clock)


def discoveries_of(
    config: "Config", registry: Registry, change: ChangePool, clock: Callable[[], float]
) -> "Mapping[Discovery, float]":
    """Return the discoveries of a config, not started, and for each how many seconds to wait for its first answer.

    For whoever serves a pool: `change` does to a core what it is told, and whatever else has to be done then.

    Raises:
        ConfigError, MissingExtra: as `begun` does.
    """
    found = {}
    for name, settings in config.discovery.items():
        try:
            made = begun(name, settings, registry, change, clock)
        except ConfigError as error:
            raise config.located(f"discovery.{name}", error) from None
        made.hide(config.redact)
        found[made] = settings.wait_s
    return found
