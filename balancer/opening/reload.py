"""Reload of a config: the differences between the config in force and a new one, and what they change in a core."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from balancer.core import Core, Waiter
from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.reporting.words import count as counted
from balancer.settings.config import Config
from balancer.strategy import Strategy

__all__ = ["ConfigChanges", "changes"]

# A core keeps these for its life. A pool uses no other part of a config.
_SECTIONS = ("discovery", "health", "limits", "host_caps", "quotas", "holders", "trace")
_POOL_KEYS = ("max_waiters", "seed", "spill_after_s", "fairness")


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """Differences between the config in force and a new one.

    Attributes:
        added, changed: endpoints, as they will be.
        removed: endpoints, as they were.
        strategy: True if the strategy or its options change.
        later: the keys that take effect at the next start.
        running: the config in force after the changes.
    """

    added: tuple[Endpoint, ...]
    changed: tuple[Endpoint, ...]
    removed: tuple[Endpoint, ...]
    strategy: bool
    later: tuple[str, ...]
    running: Config

    def lines(self, file: str) -> Iterator[str]:
        """Yield the lines that report the changes. `file` is the name of the config."""
        counts = ((len(self.added), "added"), (len(self.changed), "changed"), (len(self.removed), "removed"))
        said = [f"{count} {word}" for count, word in counts if count]
        done = [f"endpoints {', '.join(said)}"] if said else []
        done += [f"strategy {self.running.redact(self.running.pool.strategy)}"] if self.strategy else []
        if done or not self.later:
            endpoints = self.running.pool_endpoints
            slots = sum(endpoint.capacity for endpoint in endpoints)
            words = "; ".join(done) or "nothing to change"
            of = f"{counted(slots, 'slot')} of {counted(len(endpoints), 'endpoint')}"
            yield f"read {file} again: {words}; {of}"
        if self.later:
            yield f"read {file} again: {', '.join(self.later)} change only with a restart"

    def acts(self, core: Core, strategy: Strategy | None) -> Iterator[Callable[[float], Sequence[Waiter]]]:
        """Yield the changes to a core. Additions come first, so that no waiter finds the pool empty.

        A source may have added or removed an endpoint of the config before.
        """
        states = {each.endpoint.identity: each.state for each in core.ledger.accounts()}
        for endpoint in self.added:
            is_there = states.get(endpoint.identity) is MembershipState.ACTIVE
            yield partial(core.update if is_there else core.add, endpoint)
        for endpoint in self.changed:
            if endpoint.identity in states:
                yield partial(core.update, endpoint)
        for endpoint in self.removed:
            if endpoint.identity in states:
                yield partial(core.remove, endpoint.name)
        if strategy is not None:
            yield partial(core.set_strategy, strategy)


def changes(before: Config, after: Config) -> ConfigChanges:
    """Return the changes from the config in force to the config that is wanted.

    Raises:
        ConfigError: an endpoint names a quota that only a restart would add; or `after` connects to another pool; or
            all endpoints are gone, as in a file that is being written.
    """
    if after.pool.connect is not None:
        raise after.located("pool.connect", ConfigError("this server serves its own pool; leave it out"))
    if "endpoints" in before.model_fields_set and "endpoints" not in after.model_fields_set:
        why = "are missing, which would mean this machine; was the file read while it was written?"
        raise after.located("[[endpoints]]", ConfigError(why))
    old = {endpoint.identity: endpoint for endpoint in before.pool_endpoints}
    new = {endpoint.identity: endpoint for endpoint in after.pool_endpoints}
    for endpoint in new.values():
        if endpoint.quota is not None and endpoint.quota not in before.quotas:
            why = f"names the quota {endpoint.quota!r}, which is new; restart, or remove it"
            raise after.located(f"endpoint {endpoint.name}", ConfigError(why))
    later = [f"[{name}]" for name in _SECTIONS if getattr(before, name) != getattr(after, name)]
    later += [f"pool.{key}" for key in _POOL_KEYS if getattr(before.pool, key) != getattr(after.pool, key)]
    chosen = {"strategy": after.pool.strategy, "options": after.pool.options}
    pool = after.pool.model_copy(update={key: getattr(before.pool, key) for key in _POOL_KEYS})
    running = after.model_copy(update={name: getattr(before, name) for name in _SECTIONS} | {"pool": pool})
    return ConfigChanges(
        added=tuple(each for key, each in new.items() if key not in old),
        changed=tuple(each for key, each in new.items() if key in old and old[key] != each),
        removed=tuple(each for key, each in old.items() if key not in new),
        strategy=any(getattr(before.pool, key) != value for key, value in chosen.items()),
        later=tuple(later),
        running=running,
    )
