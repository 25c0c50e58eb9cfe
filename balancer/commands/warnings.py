"""Warnings on a valid config: settings that may not do what was meant."""

from collections import Counter
from collections.abc import Iterator

from balancer.core.health import most_ejected, panics
from balancer.settings.config import Config

__all__ = ["left_to_server", "warnings"]


def left_to_server(config: Config) -> Iterator[str]:
    """Yield a line if the pool is served elsewhere and the config says what does not count then."""
    if config.pool.connect is not None and config.decided_by_server:
        said = ", ".join(config.decided_by_server)
        kept = "; of [[endpoints]] only languages and isolation count, by name" if "endpoints" in said else ""
        yield f"the pool is that of {config.redact(config.pool.connect)}, which decides {said}{kept}"


def warnings(config: Config) -> Iterator[str]:
    """Yield a line for each such thing, with what to do."""
    if config.pool.connect is not None:  # the rest is the server's
        yield from left_to_server(config)
        return
    groups = Counter(endpoint.group for endpoint in config.pool_endpoints)
    if len(groups) > 1:
        yield from _on_groups(config, groups)
    elif config.pool.spill_after_s is not None:
        yield "pool.spill_after_s: all endpoints are of one group, so nothing spills; give some of them a higher group"
    for name, quota in sorted(config.quotas.items()):
        if quota.tokens_per_min is not None and not quota.estimate:
            yield (
                f"quotas.{name}: tokens_per_min without estimate: a call that does not say how many tokens it will "
                "take reserves none, and counts when it has told how many it took; set estimate"
            )


def _on_groups(config: Config, groups: Counter[int]) -> Iterator[str]:
    """Yield a line if the lowest group can fail as a whole without the next one being used."""
    health = config.health
    lowest, following = sorted(groups)[:2]
    many, least = groups.total(), groups[lowest]
    if health is None:
        if config.pool.spill_after_s is None:
            yield (
                f"endpoints: group {following} is used only when group {lowest} is drained, for health is off and "
                "there is no spill_after_s; set one of them"
            )
        return
    most = most_ejected(health, many)
    if least > most:
        why = f"{least} of {many} endpoints are in that group, and {most} can be ejected at once"
    elif panics(health, many, least):
        why = f"with {least} of {many} endpoints ejected all must serve"
    else:
        return
    yield (
        f"endpoints: group {following} is not used where group {lowest} fails as a whole, for {why}; set "
        "max_ejected_share = 1.0 and panic_share = 0.0 in [health]"
    )
