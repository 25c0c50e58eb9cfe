"""What a config says about health, limits, caps and retries, in words. It must not know how any of it is done."""

from collections.abc import Iterator

from balancer.settings.config import Config
from balancer.settings.rules import PingSettings

__all__ = ["policy_lines"]


def policy_lines(config: Config) -> Iterator[str]:
    """Yield what the config says about health, limits, quotas and retries."""
    if config.pool.connect is not None:
        yield "health     the server's, and so are limits, caps and quotas"
    else:
        yield from _of_the_pool(config)
    retries = config.retries
    yield (
        f"retries    {retries.budget_ratio:.0%} of the calls + {retries.budget_per_s:g}/s, over "
        f"{retries.budget_window_s:g} s; pauses from {retries.base_s:g} s, at most {retries.max_pause_s:g} s"
    )


def _of_the_pool(config: Config) -> Iterator[str]:
    health, limits = config.health, config.limits
    if health is None:
        yield "health     off: no endpoint is taken out of service for its failures"
    else:
        tests = [f"after {health.consecutive_failures} failures in a row"] if health.consecutive_failures else []
        tests += [f"below {health.success_rate:.0%} success"] if health.success_rate else []
        tests += [f"outliers of {health.min_hosts} or more"] if health.rate_sds or health.failure_share < 1 else []
        yield f"health     ejects {', '.join(tests) or 'nobody'}"
        yield f"           for {health.cooldown_s:g} to {health.max_cooldown_s:g} s; pings: {_pings(health)}"
    yield "limits     " + (
        "fixed: the capacities"
        if limits.kind == "fixed"
        else f"aimd: from {limits.initial} slots up to the capacities, x {limits.backoff:g} when overloaded"
    )
    for host, cap in sorted(config.host_caps.items()):
        yield f"host cap   {cap} slots on {'each other host' if host == '*' else host}"
    for name, quota in sorted(config.quotas.items()):
        most = {"calls": quota.requests_per_min, "tokens": quota.tokens_per_min}
        each = " and ".join(f"{number} {what}" for what, number in most.items() if number is not None)
        yield f"quota      {each} a minute on {'each other endpoint' if name == '*' else f'endpoints of {name!r}'}"
    if config.pool.spill_after_s is not None:
        yield f"groups     a higher one is used when the lower ones have been full for {config.pool.spill_after_s:g} s"


def _pings(health: PingSettings) -> str:
    return "off" if health.ping == "off" else f"{health.ping}, every {health.ping_every_s:g} s"
