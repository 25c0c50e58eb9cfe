"""Policies of a config as text: health, limits, caps and retries, and warnings about settings that may not work."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from balancer.core.health import most_ejected
from balancer.settings.config import Config
from balancer.settings.tables import HealthSection
from balancer.values.wording import did_you_mean

__all__ = ["left_to_server", "policy_lines", "warnings"]

_MOST_NAMES: Final = 8


def policy_lines(config: Config) -> Iterator[str]:
    """Yield lines about health, limits, quotas, retries and tenants."""
    if config.pool.connect is not None:
        yield "health     decided by the server, like limits, caps and quotas"
    else:
        yield from _of_the_pool(config)
    retries = config.retries
    yield (
        f"retries    {retries.budget_ratio:.0%} of the calls + {retries.budget_per_s:g}/s, over "
        f"{retries.budget_window_s:g} s; pauses from {retries.base_s:g} s, at most {retries.max_pause_s:g} s"
    )
    if tenants := [repr(config.redact(each.name)) for each in config.proxy.tenants]:
        more = f" and {len(tenants) - _MOST_NAMES} more" if len(tenants) > _MOST_NAMES else ""
        yield f"tenants    {', '.join(tenants[:_MOST_NAMES])}{more}"


def _of_the_pool(config: Config) -> Iterator[str]:
    health, limits = config.health, config.limits
    if health is None:
        yield "health     off: no endpoint is taken out of service for its failures"
    else:
        tests = [f"after {health.consecutive_failures} failures in a row"] if health.consecutive_failures else []
        tests += [f"below {health.success_rate:.0%} success"] if health.success_rate else []
        yield f"health     ejects {', '.join(tests) or 'no endpoint'}"
        yield f"           for {health.cooldown_s:g} to {health.max_cooldown_s:g} s; pings: {_pings(health)}"
    yield "limits     " + (
        "fixed: the capacities"
        if limits.kind == "fixed"
        else f"aimd: from {limits.initial} slots up to the capacities, half when overloaded"
    )
    for host, cap in sorted(config.host_caps.items()):
        yield f"host cap   {cap} slots on {'each other host' if host == '*' else host}"
    for name, quota in sorted(config.quotas.items()):
        most = {"calls": quota.requests_per_min, "tokens": quota.tokens_per_min}
        each = " and ".join(f"{number} {what}" for what, number in most.items() if number is not None)
        yield f"quota      {each} a minute on endpoints of {name!r}"
    if config.pool.fairness is not None:
        yield "fairness   the slots are shared out between the holders that wait"
    for name, whose in sorted(config.holders.items()):
        bound = f", at most {whose.max_leases} leases" if whose.max_leases is not None else ""
        yield f"holder     weight {whose.weight:g}{bound} for {'each other one' if name == '*' else repr(name)}"
    if config.pool.spill_after_s is not None:
        yield f"groups     a higher one is used when the lower ones have been full for {config.pool.spill_after_s:g} s"


def _pings(health: HealthSection) -> str:
    return "off" if health.ping == "off" else f"{health.ping}, every {health.ping_every_s:g} s"


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
