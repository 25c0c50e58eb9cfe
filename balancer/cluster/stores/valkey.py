"""Valkey (and Redis): texts by name, of one life of the server.

Valkey may lose the last changes when it is started again. So each text begins with the `run_id` of the server that
wrote it, and a text of another one counts as missing. Each call is one script, which the server runs in one piece.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from balancer.errors import ConfigError
from balancer.hookspecs import StorePlugin, hookimpl

__all__ = ["ValkeyStore"]

_SCHEMES: Final = ("valkey", "valkeys", "redis", "rediss")
_SCRIPT: Final = """
local life = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. ' '
local function get()
  local text = redis.call('GET', KEYS[1])
  if text and string.sub(text, 1, #life) == life then return string.sub(text, #life + 1) end
  return false
end
local verb, text, before = ARGV[1], ARGV[2], ARGV[3] or false
if verb == 'get' then return get() end
if verb == 'drop' then return redis.call('DEL', KEYS[1]) end
if verb == 'swap' and get() ~= before then return 0 end
redis.call('SET', KEYS[1], life .. text)
return 1
"""


class ValkeyStore:
    """A Valkey server. One without automatic failover: a primary that is cut off would go on confirming claims.

    Args:
        url: valkey://[user:password@]host[:port][/database], or valkeys:// for TLS; redis:// and rediss:// likewise.
        timeout_s: how many seconds a call may take.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        import valkey
        from valkey.backoff import NoBackoff
        from valkey.retry import Retry

        try:
            parts = urlsplit(url)
            self.called = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"
            client: Any = valkey.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),  # type: ignore[no-untyped-call]  # who calls tries again, in time
            )
        except ValueError:  # its text may have the password
            raise ConfigError(
                f"the URL of a store cannot be used; it must be like {_SCHEMES[0]}://10.0.0.8:6379/0"
            ) from None
        self._failures: Any = (valkey.ValkeyError, OSError)
        self._refusals: Any = (valkey.AuthenticationError, valkey.exceptions.NoPermissionError)
        self._run: Any = client.register_script(_SCRIPT)
        self._client = client

    def close(self) -> None:
        """Close its connections. A later call opens one again."""
        self._client.close()
        self._client.connection_pool.disconnect()

    def get(self, name: str) -> str | None:
        """Return a text; None if there is none."""
        found: str | None = self._called(name, "get")
        return found

    def put(self, name: str, text: str) -> None:
        """Write a text."""
        self._called(name, "put", text)

    def swap(self, name: str, before: str | None, text: str) -> bool:
        """Write a text if `before` is there still. Return whether it was written."""
        return bool(self._called(name, "swap", text, *([] if before is None else [before])))

    def drop(self, name: str) -> None:
        """Delete a text."""
        self._called(name, "drop")

    def _called(self, name: str, *words: str) -> Any:
        try:
            return self._run(keys=[name], args=words)
        except self._refusals as error:
            raise PermissionError(f"{self.called} refuses the user or the password: {error}") from None
        except self._failures as error:
            raise OSError(f"{self.called}: {error}") from None


@hookimpl
def balancer_stores() -> list[StorePlugin]:
    """Offer this store."""
    return [StorePlugin(_SCHEMES, ValkeyStore, "Valkey or Redis", extra="standby")]
