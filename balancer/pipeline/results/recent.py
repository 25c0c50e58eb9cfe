"""Cache of what was read lately of a problem, so that a question before each program run costs no query.

Decides how much is remembered: the problems at work, and some more. It must not know what is read.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from balancer.pipeline.results.database import Database

__all__ = ["RecentCache"]

Found = TypeVar("Found")

_MOST = 64  # problems; one that is read again after that costs a query


class RecentCache(Generic[Found]):
    """A memory of one thing for each problem. Thread-safe, under the lock of the database that it is read from.

    Args:
        database: whose lock it is.
        load: reads it; the caller must not change what comes.
    """

    def __init__(self, database: Database, load: Callable[[str], Found]) -> None:
        self._db = database
        self._load = load
        self._found: dict[str, Found] = {}

    def of(self, problem: str) -> Found:
        """Return it, read at most once between two calls of `forget`."""
        with self._db.using():
            if problem not in self._found:
                if len(self._found) >= _MOST:
                    del self._found[next(iter(self._found))]
                self._found[problem] = self._load(problem)
            return self._found[problem]

    def forget(self, problem: str) -> None:
        """Read it again next time: it has changed."""
        with self._db.using():
            self._found.pop(problem, None)
