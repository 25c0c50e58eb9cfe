"""Policies of a config as text: health, limits, caps and retries, and warnings about settings that may not work."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from balancer.core.health import most_ejected
from balancer.settings.config import Config
from balancer.values.wording import did_you_mean

__all__ = ["left_to_server", "policy_lines", "warnings"]


def policy_lines(config: Config) -> Iterator[str]:
    """Yield lines about health, limits, quotas, holders and retries: what differs from the defaults."""
    if config.pool.connect is not None:
        yield "health     decided by the server, like limits, caps and quotas"
    else:
        yield f"health     {'off' if config.health is None else _changed(config.health)}"
        yield f"limits     {_changed(config.limits)}"
        for host, cap in sorted(config.host_caps.items()):
            yield f"host cap   {cap} slots on {host}"
        for kind, named in (("quota", config.quotas), ("holder", config.holders)):
            yield from (f"{kind:<10} {name}: {_changed(settings)}" for name, settings in sorted(named.items()))
    yield f"retries    {_changed(config.retries)}"
    if tenants := [config.redact(each.name) for each in config.proxy.tenants]:
        yield f"tenants    {', '.join(tenants)}"


def _changed(settings: Any) -> str:
    """Return the settings of a table that differ from their defaults."""
    values = {each.name: (getattr(settings, each.name), each.default) for each in fields(settings)}
    said = [f"{name} = {value!r}" for name, (value, default) in values.items() if value != default]
    return ", ".join(said) or "by default"


# -- warnings ------------------------------------------------------------------------------------------


def left_to_server(config: Config) -> Iterator[str]:
    """Yield a line if a server decides over the pool and the config has settings that it ignores."""
    if config.pool.connect is not None and config.decided_by_server:
        said = ", ".join(config.decided_by_server)
        kept = "; of [[endpoints]] only languages and isolation count here, by name" if "endpoints" in said else ""
        yield f"{config.redact(config.pool.connect)} serves the pool and decides {said}{kept}"


def warnings(config: Config) -> Iterator[str]:
    """Yield a line for each setting that may not do what was meant, with what to do."""
    if config.pool.connect is not None:  # the server decides the rest
        yield from left_to_server(config)
        return
    groups = Counter(endpoint.group for endpoint in config.pool_endpoints)
    if len(groups) > 1:
        yield from _on_groups(config, groups)
    elif config.pool.spill_after_s is not None:
        yield "pool.spill_after_s: all endpoints have one group, so it has no effect; give some of them a higher group"
    if config.pool.strategy == "round_robin" and len({endpoint.weight for endpoint in config.pool_endpoints}) > 1:
        yield (
            "pool.strategy: round_robin ignores weights, and those of the endpoints differ; weighted_round_robin goes "
            "round by weight"
        )
    for name, quota in sorted(config.quotas.items()):
        if quota.tokens_per_min is not None and not quota.estimate:
            yield (
                f"quotas.{name}: tokens_per_min without estimate: a call without an estimate of its own reserves no "
                "tokens, and counts only when it reports its tokens; set estimate"
            )
    tenants = sorted(each.name for each in config.proxy.tenants)
    for name in sorted(config.holders.keys() - {"*", *tenants}) if tenants else ():
        yield (
            f"holders.{name}: no tenant of the proxy has this name; it counts only for other programs that share the "
            f"pool{did_you_mean(name, tenants)}"
        )


def _on_groups(config: Config, groups: Counter[int]) -> Iterator[str]:
    """Yield a line if the lowest group can fail as a whole and the next one is still not used."""
    health = config.health
    lowest, following = sorted(groups)[:2]
    many, least = groups.total(), groups[lowest]
    if health is None:
        if config.pool.spill_after_s is None:
            yield (
                f"endpoints: group {following} is used only when group {lowest} is drained, because health is off and "
                "there is no spill_after_s; set one of them"
            )
        return
    most = most_ejected(health, many)
    if least > most:
        yield (
            f"endpoints: group {following} is not used if all of group {lowest} fails, because {least} of {many} "
            f"endpoints are in that group, and {most} can be ejected at once; set max_ejected_share = 1.0 in [health]"
        )
