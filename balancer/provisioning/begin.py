"""Start of a provisioning: from settings to a keeper of an account."""

import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from balancer.discovery.follower import ChangePool
from balancer.errors import ConfigError
from balancer.plugins.registry import Registry
from balancer.provider import Provider, ProviderError
from balancer.provisioning.fleet import FleetLimits
from balancer.provisioning.keeper import Observe, Provisioning
from balancer.settings.pool import AccountSettings
from balancer.source import EndpointTemplate

if TYPE_CHECKING:
    from balancer.settings.config import Config

__all__ = ["provisioned", "provisionings_of"]


def provisioned(
    name: str,
    settings: AccountSettings,
    registry: Registry,
    change: ChangePool,
    observe: Observe,
    clock: Callable[[], float],
    *,
    kind: type[Provider] | None = None,
) -> Provisioning:
    """Return a provisioning that has not been started. `kind`: the class of its provider; None: `settings` names it.

    Raises:
        ConfigError: no plugin has the provider, or an option is wrong.
        MissingExtra: the provider needs an extra.
    """
    template = EndpointTemplate(
        capacity=settings.capacity,
        labels=frozenset(settings.labels),
        headers=settings.secret_headers,
    )
    try:
        provider = registry.provider(kind or settings.provider, settings.options, template)
    except ProviderError as error:
        raise ConfigError(f"provider {(kind.name if kind else settings.provider)!r}: {error}") from None
    return Provisioning(
        name,
        provider,
        FleetLimits(
            most=settings.most,
            warm=settings.warm,
            idle_s=settings.idle_s,
            per_s=settings.creations_per_s,
            burst=settings.burst,
            slots=settings.capacity,
        ),
        label=settings.label or f"{name}@{socket.gethostname()}",
        ready_s=settings.ready_s,
        expected=replace(template.endpoint("http://made-on-demand.invalid"), name=f"{name}/"),
        change=change,
        observe=observe,
        clock=clock,
    )


def provisionings_of(
    config: "Config", registry: Registry, change: ChangePool, observe: Observe, clock: Callable[[], float]
) -> "Iterable[Provisioning]":
    """Return the provisionings of a config, not started.

    Raises:
        ConfigError, MissingExtra: as `provisioned` does.
    """
    found = []
    for name, settings in config.accounts.items():
        try:
            made = provisioned(name, settings, registry, change, observe, clock)
        except ConfigError as error:
            raise config.located(f"accounts.{name}", error) from None
        made.hide(config.redact)
        found.append(made)
    return found
