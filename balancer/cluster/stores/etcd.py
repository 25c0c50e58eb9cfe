"""etcd (3.4 or later): texts by name, over its JSON gateway.

A change counts once most members have it on their disks, and a read sees the last change. So etcd may fail over by
itself. A cluster that was restored from a backup has another id. Each text begins with the id of the cluster that wrote
it, and a text of another one counts as missing.
"""

import base64
import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from balancer.errors import ConfigError
from balancer.hookspecs import StorePlugin, hookimpl

__all__ = ["EtcdStore"]

_SCHEMES: Final = ("etcd", "etcds")
_PORT: Final = 2379
_REFUSALS: Final = (401, 403)


class EtcdStore:
    """An etcd cluster. Its members are asked one after the other, until one answers.

    Args:
        url: etcd://[user:password@]host[:port][,host[:port]...], or etcds:// for TLS, with the certificates that the
            system trusts or those of `SSL_CERT_FILE`.
        timeout_s: how many seconds a call may take.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        scheme, _, rest = url.partition("://")
        user, _, hosts = rest.partition("/")[0].rpartition("@")
        try:
            self._members = [_member(each) for each in hosts.split(",")]
        except ValueError:  # its text may have the password
            raise ConfigError(
                f"the URL of a store cannot be used; it must be like {_SCHEMES[0]}://10.0.0.7:2379,10.0.0.8:2379"
            ) from None
        self.called = f"{scheme}://{hosts}"
        self._tls = ssl.create_default_context() if scheme == _SCHEMES[1] else None
        self._user = tuple(map(unquote, user.partition(":")[::2])) if user else None
        self._tries = len(self._members) + 1  # the last one is for a connection that was closed while nobody used it
        self._timeout_s = timeout_s / self._tries
        self._first = 0  # the member that answered last
        self._idle: list[_Line] = []  # no more than threads that call

    def close(self) -> None:
        """Close its connections. A later call opens one again."""
        while (line := self._spare()) is not None:
            line.http.close()

    def get(self, name: str) -> str | None:
        """Return a text; None if there is none."""
        return self._read(name).text

    def put(self, name: str, text: str) -> None:
        """Write a text."""
        self._ask("kv/put", {"key": _coded(name), "value": _coded(self._read(name).life + text)})

    def swap(self, name: str, before: str | None, text: str) -> bool:
        """Write a text if `before` is there still. Return whether it was written."""
        found = self._read(name)
        if found.text != before:
            return False
        key = _coded(name)
        unchanged = {"key": key, "target": "MOD", "result": "EQUAL", "modRevision": found.revision}
        write = {"requestPut": {"key": key, "value": _coded(found.life + text)}}
        return bool(self._ask("kv/txn", {"compare": [unchanged], "success": [write]}).get("succeeded"))

    def drop(self, name: str) -> None:
        """Delete a text."""
        self._ask("kv/deleterange", {"key": _coded(name)})

    # -- inside ------------------------------------------------------------------------------------

    def _read(self, name: str) -> "_Found":
        said = self._ask("kv/range", {"key": _coded(name)})
        life = f"{said['header']['cluster_id']} "
        for each in said.get("kvs", ()):
            text = base64.b64decode(each["value"]).decode()
            ours = text.removeprefix(life) if text.startswith(life) else None
            return _Found(ours, str(each["mod_revision"]), life)
        return _Found(None, "0", life)

    def _ask(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of the first member that gives one. Raises OSError, PermissionError.

        A change may be asked for twice, if the first answer is lost: who calls then reads what is there.
        """
        trouble = ""
        for turn in range(self._tries):
            at = (self._first + turn) % len(self._members)
            line = self._line_to(at)
            try:
                said = self._asked_of(line, path, asked)
            except (OSError, HTTPException, ValueError) as error:
                line.http.close()
                if isinstance(error, PermissionError):
                    raise
                trouble = str(error) or type(error).__name__
                continue
            self._first = at
            self._idle.append(line)
            return said
        raise OSError(f"{self.called}: {trouble}")

    def _asked_of(self, line: "_Line", path: str, asked: dict[str, Any]) -> dict[str, Any]:
        had_token = bool(line.token)
        if self._user is not None and not had_token:
            line.token = self._token_of(line, *self._user)
        status, said = line.sent(path, asked)
        if status in _REFUSALS and had_token:  # its time is over
            line.token = ""
            return self._asked_of(line, path, asked)
        if status in _REFUSALS or "user name is empty" in _reason(said, status):
            raise PermissionError(f"{self.called} refuses the user or the password: {_reason(said, status)}")
        if status != 200:
            raise OSError(_reason(said, status))
        return said

    def _token_of(self, line: "_Line", name: str, password: str) -> str:
        status, said = line.sent("auth/authenticate", {"name": name, "password": password})
        if status >= 500:
            raise OSError(_reason(said, status))
        if status != 200:
            raise PermissionError(f"{self.called} refuses the user or the password: {_reason(said, status)}")
        return str(said["token"])

    def _spare(self) -> "_Line | None":
        try:
            return self._idle.pop()
        except IndexError:  # another thread may have it
            return None

    def _line_to(self, at: int) -> "_Line":
        """Return a connection to a member, for the caller alone."""
        while (line := self._spare()) is not None:
            if line.at == at:
                return line
            line.http.close()
        host, port = self._members[at]
        if self._tls is None:
            return _Line(at, HTTPConnection(host, port, timeout=self._timeout_s))
        return _Line(at, HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls))


class _Found(NamedTuple):
    """A text of this cluster, or None; the revision that wrote what is there ("0": nothing); what texts begin with."""

    text: str | None
    revision: str
    life: str


class _Line:
    """A connection to the member with the number `at`."""

    def __init__(self, at: int, http: HTTPConnection) -> None:
        self.at = at
        self.http = http
        self.token = ""

    def sent(self, path: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer. Raises OSError, HTTPException, ValueError."""
        headers = {"Content-Type": "application/json", **({"Authorization": self.token} if self.token else {})}
        self.http.request("POST", f"/v3/{path}", json.dumps(asked), headers)
        answer = self.http.getresponse()
        said = json.loads(answer.read() or b"{}")
        if not isinstance(said, dict):
            raise ValueError("it answered with something else than etcd does")
        return answer.status, said


def _member(text: str) -> tuple[str, int]:
    """Return host and port. Raises ValueError."""
    host, _, port = text.rpartition(":") if text.rpartition(":")[2].isdecimal() else (text, "", "")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not host.isascii() or any(mark in host for mark in " /?#@,"):
        raise ValueError(text)
    return host, int(port) if port else _PORT


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _reason(said: dict[str, Any], status: int) -> str:
    return str(said.get("message") or said.get("error") or f"HTTP status {status}")


@hookimpl
def balancer_stores() -> list[StorePlugin]:
    """Offer this store."""
    return [StorePlugin(_SCHEMES, EtcdStore, "etcd")]
