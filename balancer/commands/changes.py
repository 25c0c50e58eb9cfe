"""Config changes of a running server: what an edited config adds, changes and removes.

Decides what can be changed while leases are out, what counts from the next start only, and what is refused. Pure. It
must not know how a config is read again, nor who is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.reporting.words import count as counted
from balancer.settings.config import Config

__all__ = ["ConfigChanges", "changes"]

# Of what a core is made, and keeps for its life. What else a config has is not the server's.
_SECTIONS = ("health", "limits", "host_caps", "quotas", "trace")
_POOL_KEYS = ("max_waiters", "seed", "spill_after_s")


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """What differs.

    Attributes:
        added, changed, removed: endpoints, as they are to be; of those that go, as they were.
        strategy: True if another strategy is to choose, or with other options.
        later: the keys that count from the next start.
        running: the config that is in force once this is done.
    """

    added: tuple[Endpoint, ...]
    changed: tuple[Endpoint, ...]
    removed: tuple[Endpoint, ...]
    strategy: bool
    later: tuple[str, ...]
    running: Config

    def lines(self, file: str) -> Iterator[str]:
        """Yield what is to be said of it."""
        counts = ((len(self.added), "added"), (len(self.changed), "changed"), (len(self.removed), "removed"))
        said = [f"{count} {word}" for count, word in counts if count]
        done = [f"endpoints {', '.join(said)}"] if said else []
        done += [f"strategy {self.running.redact(self.running.pool.strategy)}"] if self.strategy else []
        if done or not self.later:
            endpoints = self.running.pool_endpoints
            slots = sum(endpoint.capacity for endpoint in endpoints)
            words = "; ".join(done) or "nothing is to be changed"
            of = f"{counted(slots, 'slot')} of {counted(len(endpoints), 'endpoint')}"
            yield f"read {file} again: {words}; {of}"
        if self.later:
            yield (
                f"read {file} again: {', '.join(self.later)} can be changed by a restart only, which keeps what is out"
            )


def changes(before: Config, after: Config) -> ConfigChanges:
    """Return what is to be changed where `before` is in force and `after` is wanted.

    Raises:
        ConfigError: an endpoint names a quota that a restart would bring; or the pool is to be elsewhere; or all
            endpoints have gone, as in a file that is being written.
    """
    if after.pool.connect is not None:
        raise after.located("pool.connect", ConfigError("a pool that is elsewhere is served there; leave it out"))
    if "endpoints" in before.model_fields_set and "endpoints" not in after.model_fields_set:
        why = "are missing, and without them it is this machine; was the file read while it was written?"
        raise after.located("[[endpoints]]", ConfigError(why))
    old = {endpoint.identity: endpoint for endpoint in before.pool_endpoints}
    new = {endpoint.identity: endpoint for endpoint in after.pool_endpoints}
    for endpoint in new.values():
        if endpoint.quota is not None and endpoint.quota not in before.quotas:
            why = f"names the quota {endpoint.quota!r}, which a restart would bring; restart, or take it out"
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
