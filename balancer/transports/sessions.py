"""Sessions: requests that must go where an earlier one went, as a file or a conversation lives on one server.

A session has a name: an id that an answer gave (`file-abc`), a header, a cookie, or what a function says. The endpoint
of a name is learnt from answers, and kept in a `SessionTable`.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import islice
from threading import Lock
from typing import Any, Final, Literal
from urllib.parse import unquote

from balancer.core.session_table import SessionTable, may_leave
from balancer.opening.pool import Pool
from balancer.shells.lease_request import LeaseRequest
from balancer.transports.reports import PlainText
from balancer.values.numbers import checked, positive, whole

__all__ = ["IDS", "IdReader", "RequestSession", "RequestText", "Sessions"]

IDS: Final = (
    *("asst_", "batch_", "cntr_", "container_", "conv_", "eval_", "evalrun_", "file-", "file_", "ft-", "ftjob-"),
    *("msgbatch_", "resp_", "run_", "step_", "thread_", "upload_", "video_", "vs_", "vsfb_"),
)
_NONE: Final = frozenset[str]()
_ELSEWHERE: Final = ("gone", "full")
_LONGEST: Final = 128  # characters of a name
_MOST_READ: Final = 2**20  # bytes of an answer in which ids are looked for
_MOST_NAMED: Final = 64  # ids of one request that are looked up
_OVERLAP: Final = 512  # bytes of the last piece in which an id may have begun


@dataclass(frozen=True, slots=True)
class RequestText:
    """What is read of a request.

    Args:
        target: its path and query.
        headers: by name, whatever the case.
        content: its body; None: it is not in memory.
    """

    target: str
    headers: Mapping[str, str]
    content: bytes | str | None


class Sessions:
    """Sends requests where their session lives. Thread-safe; transports over one pool may share it.

    A request names a session by an id in its path, query or body, by a header, a cookie, or a function. Ids count
    first, as what has an id is nowhere else. A session whose name is not known goes anywhere; its first answer decides
    where it stays. A request whose endpoint is full waits for it.

    Args:
        ids: beginnings of ids, e.g. ("file-", "batch_"): those that an answer gives as `id`, or as `..._id`, are kept.
        header: the name of a header, of requests or of answers, e.g. "Mcp-Session-Id".
        cookie: the name of a cookie that clients send or servers set.
        function: returns the name of a request's session, or None; it gets the client's request.
        idle_s: seconds after which a session without requests is forgotten.
        most: how many names are kept; beyond that, the ones unused for longest are forgotten.
        elsewhere: when a request may go to another endpoint, which then has its session: "gone" (its own is out of
            service), "full" (it has no free slot). Without "gone", such a request ends with `NoEndpoint` once its
            endpoint was removed or drained.

    Raises:
        ValueError: a number is out of range, a word of `elsewhere` is unknown, or nothing names a session.
        TypeError: a string was given for a collection.

    Attributes:
        elsewhere: see above.
        given: finds the ids that a part of an answer's body gives; None: they are not kept.
    """

    def __init__(
        self,
        *,
        ids: Iterable[str] = IDS,
        header: str | None = None,
        cookie: str | None = None,
        function: Callable[[Any], str | None] | None = None,
        idle_s: float = 3600.0,
        most: int = 100_000,
        elsewhere: Iterable[Literal["gone", "full"]] = (),
    ) -> None:
        for name, given in (("ids", ids), ("elsewhere", elsewhere)):
            if isinstance(given, str):
                raise TypeError(f"{name} is {given!r}; it takes a collection of strings, such as ['a']")
        self.elsewhere = frozenset(elsewhere)
        if not self.elsewhere <= set(_ELSEWHERE):
            raise ValueError(f"elsewhere is {sorted(self.elsewhere)}; it takes {' and '.join(map(repr, _ELSEWHERE))}")
        starts = "|".join(re.escape(each) for each in sorted(ids, key=len, reverse=True))
        if not (starts or header or cookie or function):
            raise ValueError("nothing names a session; give ids, a header, a cookie or a function")
        self._header = header.lower() if header else None
        self._cookie = re.compile(rf"(?:^|[;,])\s*{re.escape(cookie)}=([^;,\s]+)") if cookie else None
        self._function = function
        one = rf"(?:{starts})[A-Za-z0-9_-]{{1,{_LONGEST}}}"
        self._in_target = re.compile(rf"(?<![^/=,&?]){one}(?![^/=,&?])") if starts else None
        self._in_body = re.compile(rf'(?<!\\)"({one})"'.encode()) if starts else None
        self.given = re.compile(rf'(?<!\\)"(?:[a-z_]*_)?id"\s*:\s*"({one})"'.encode()) if starts else None
        self._table = SessionTable(checked("idle_s", idle_s, positive), checked("most", most, partial(whole, least=1)))
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._table)

    def session_of(self, pool: Pool, text: RequestText, request: Any = None) -> "RequestSession":
        """Return the session of a request.

        Args:
            pool: the request will lease from it.
            text: of the request.
            request: for the function; None: `text`.
        """
        named = self._named(text, text if request is None else request)
        names = [*self._ids_in(text), *named]
        only = None
        if names:
            with self._lock:
                only = self._table.find(names, pool.clock())
            if only is not None and self.elsewhere:
                row = next((row for row in pool.stats().endpoints if row.name == only), None)
                only = None if may_leave(row, self.elsewhere) else only
        return RequestSession(self, pool, only, named)

    def bind(self, names: Iterable[str], endpoint: str, now: float, *, first: bool = False) -> None:
        """Note that these sessions live at `endpoint`. `first`: unless it is known where they do."""
        with self._lock:
            for name in names:
                self._table.bind(name, endpoint, now, first=first)

    def named_by(self, headers: Iterable[tuple[str, str]]) -> list[str]:
        """Return the names that the headers of an answer give."""
        found = []
        for name, value in headers:
            key = name.lower()
            if key == self._header:
                found.append(_short(f"header {value}"))
            elif self._cookie is not None and key == "set-cookie":
                found += [_short(f"cookie {each}") for each in self._cookie.findall(value)]
        return found

    # -- inside ------------------------------------------------------------------------------------

    def _named(self, text: RequestText, request: Any) -> list[str]:
        found = []
        if self._header is not None and (value := text.headers.get(self._header)):
            found.append(_short(f"header {value}"))
        if self._cookie is not None and (sent := self._cookie.search(text.headers.get("cookie") or "")):
            found.append(_short(f"cookie {sent[1]}"))
        if self._function is not None and (said := self._function(request)) is not None:
            found.append(_short(f"function {said}"))
        return found

    def _ids_in(self, text: RequestText) -> list[str]:
        if self._in_target is None or self._in_body is None:
            return []
        found = self._in_target.findall(unquote(text.target))
        content = text.content
        if content:
            data = content.encode(errors="replace") if isinstance(content, str) else content
            found += [each[1].decode() for each in islice(self._in_body.finditer(data), _MOST_NAMED)]
        return found


@dataclass(frozen=True, slots=True)
class _LeavingRequest(LeaseRequest):
    """A request that leaves its endpoint once it has failed there."""

    def avoiding(self, avoid: frozenset[str], labels: frozenset[str] = _NONE) -> LeaseRequest:
        """Return a copy that also excludes `avoid` and also needs `labels`."""
        asked = replace(self, only=None) if self.only in avoid else self
        return LeaseRequest.avoiding(asked, avoid, labels)


class RequestSession:
    """The session of one request.

    Attributes:
        only: the name of its endpoint; None: the request may go anywhere.
    """

    __slots__ = ("_named", "_pool", "_sessions", "only")

    def __init__(self, sessions: Sessions, pool: Pool, only: str | None, named: Iterable[str]) -> None:
        self.only = only
        self._sessions = sessions
        self._pool = pool
        self._named = named  # what the answer will bind

    def asked(self, asked: LeaseRequest) -> LeaseRequest:
        """Return what the request asks the pool for, given what it would ask for without a session."""
        if self.only is None:
            return asked
        kind = _LeavingRequest if "gone" in self._sessions.elsewhere else LeaseRequest
        return kind(**{each.name: getattr(asked, each.name) for each in fields(asked)} | {"only": self.only})

    def answered(
        self, endpoint: str, headers: Iterable[tuple[str, str]], *, decoded: bool = False
    ) -> "IdReader | None":
        """Note the head of an answer that is no error. Return what reads its body; None: nothing need be read.

        Args:
            endpoint: the name of the one that answered.
            headers: of the answer.
            decoded: True if the body comes without its Content-Encoding.
        """
        headers, now = list(headers), self._pool.clock()
        self._sessions.bind(self._named, endpoint, now, first=not self._sessions.elsewhere)
        self._sessions.bind(self._sessions.named_by(headers), endpoint, now)
        told = {name.lower(): value for name, value in headers}
        kind = told.get("content-type", "").lower()
        if self._sessions.given is None or not ("json" in kind or "event-stream" in kind):
            return None
        learn = partial(self._learn, endpoint)
        return IdReader(self._sessions.given, learn, "" if decoded else told.get("content-encoding", ""))

    def _learn(self, endpoint: str, ids: Iterable[str]) -> None:
        self._sessions.bind(ids, endpoint, self._pool.clock())


class IdReader:
    """Reads the ids that an answer gives, as its body passes. It never fails: what cannot be read is skipped.

    Args:
        given: finds ids.
        learn: is told of them.
        encoding: the Content-Encoding of the body.
    """

    __slots__ = ("_given", "_learn", "_left", "_plain", "_tail")

    def __init__(self, given: re.Pattern[bytes], learn: Callable[[Iterable[str]], None], encoding: str) -> None:
        self._given = given
        self._learn = learn
        self._plain = PlainText(encoding)
        self._tail = b""
        self._left = _MOST_READ

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""
        if self._left <= 0:
            return
        for part in self._plain.parts(piece):
            self._left -= len(part)
            text = self._tail + part
            if ids := {each.decode() for each in self._given.findall(text)}:
                self._learn(ids)
            self._tail = text[-_OVERLAP:]
            if self._left <= 0:
                return


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else hashlib.blake2b(name.encode(errors="replace"), digest_size=16).hexdigest()
