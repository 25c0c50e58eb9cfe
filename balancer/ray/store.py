"""Key-value store of Ray (its control store). It outlives an actor and its node.

The store is an experimental part of Ray, so it is used only here. Decides how our names are kept apart from others.
"""

from typing import Any, Final

__all__ = ["ControlStore"]

_NAMESPACE: Final = b"balancer"


class ControlStore:
    """Texts by name, of this cluster. Each call raises OSError if the store cannot be reached."""

    def __init__(self) -> None:
        from ray.experimental import internal_kv

        self._kv: Any = internal_kv

    def get(self, name: str) -> str | None:
        """Return a text; None if there is none."""
        try:
            found: bytes | None = self._kv._internal_kv_get(name.encode(), namespace=_NAMESPACE)
        except Exception as error:
            raise _unreached(error) from None
        return None if found is None else found.decode()

    def put(self, name: str, text: str) -> None:
        """Write a text."""
        try:
            self._kv._internal_kv_put(name.encode(), text.encode(), overwrite=True, namespace=_NAMESPACE)
        except Exception as error:
            raise _unreached(error) from None

    def drop(self, name: str) -> None:
        """Delete a text."""
        try:
            self._kv._internal_kv_del(name.encode(), namespace=_NAMESPACE)
        except Exception as error:
            raise _unreached(error) from None


def _unreached(error: Exception) -> OSError:
    return OSError(f"Ray's control store cannot be reached: {type(error).__name__}: {error}")
