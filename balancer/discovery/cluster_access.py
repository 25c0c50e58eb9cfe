"""Access to the API of a Kubernetes cluster: from within a pod, by a kubeconfig, or by an open URL.

Commands that a kubeconfig names are not run. Tokens are read anew for each request, as clusters replace them.
"""

import json
import os
import ssl
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from balancer.discovery.http_api import HttpApi
from balancer.errors import MissingExtra
from balancer.plugins.extras import require
from balancer.source import SourceError

__all__ = ["Cluster", "cluster_of"]

_IN_POD: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_USUAL: Final = "~/.kube/config"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: its API, and the namespace that is used if none is named."""

    api: HttpApi
    namespace: str


def cluster_of(
    kubeconfig: str | None, context: str | None, server: str | None, environ: Mapping[str, str], *, pod: str = _IN_POD
) -> Cluster:
    """Return the cluster at `server` (a URL without a token), of the file `kubeconfig`, of this pod, or of the user.

    Raises:
        SourceError: there is none, or the file cannot be used.
    """
    if server is not None:
        return Cluster(HttpApi(server), "default")
    if kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in environ:
        return _of_pod(environ, Path(pod))
    path = kubeconfig or environ.get("KUBECONFIG", "").partition(os.pathsep)[0] or os.path.expanduser(_USUAL)
    if not Path(path).exists():
        raise SourceError(f"{path}: no such file, and this is no pod of a cluster; give kubeconfig or server")
    try:
        return _of_kubeconfig(Path(path), context)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None


def _of_pod(environ: Mapping[str, str], folder: Path) -> Cluster:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    tls = _tls({"certificate-authority": str(folder / "ca.crt")}, {})
    api = HttpApi(
        f"https://{f'[{host}]' if ':' in host else host}:{port}", tls=tls, headers=_TokenFile(folder / "token")
    )
    return Cluster(api, _text_in(folder / "namespace").strip())


def _of_kubeconfig(path: Path, named: str | None) -> Cluster:
    config = _parsed(_text_in(path))
    context = _entry(config, "contexts", "context", named or config.get("current-context"))
    cluster = _entry(config, "clusters", "cluster", context.get("cluster"), path.parent)
    user = _entry(config, "users", "user", context.get("user"), path.parent) if context.get("user") else {}
    for key in ("exec", "auth-provider"):
        if key in user:
            raise SourceError(
                f"its user has {key!r}, a command, and none is run; use a token or a certificate, or kubectl proxy "
                'with server = "http://127.0.0.1:8001"'
            )
    server = str(cluster.get("server", ""))
    headers = _TokenFile(Path(user["tokenFile"])) if "tokenFile" in user else _Token(str(user.get("token") or ""))
    tls = _tls(cluster, user) if server.startswith("https:") else None
    return Cluster(HttpApi(server, tls=tls, headers=headers), context.get("namespace") or "default")


class _Token:
    """The headers with a token that is known. No repr shows it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}


class _TokenFile:
    """The headers with the token that a file has now."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> dict[str, str]:
        return _Token(_text_in(self._path).strip())()


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    """Return the TLS context for a cluster and a user of a kubeconfig. Raises SourceError."""
    try:
        authority = cluster.get("certificate-authority-data")
        context = ssl.create_default_context(
            cafile=None if authority else cluster.get("certificate-authority"),
            cadata=b64decode(authority).decode("ascii") if authority else None,
        )
        if cluster.get("insecure-skip-tls-verify") is True:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        pair = [user.get(f"client-{part}-data") or user.get(f"client-{part}") for part in ("certificate", "key")]
        if all(pair):
            _load_pair(context, user)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise SourceError(f"its certificates cannot be used: {type(error).__name__}") from None
    return context


def _load_pair(context: ssl.SSLContext, user: Mapping[str, Any]) -> None:
    """Load the certificate of a client. Data has to be in files for that; they exist for this moment."""
    names = []
    try:
        for part in ("certificate", "key"):
            data = user.get(f"client-{part}-data")
            if not data:
                names.append((str(user[f"client-{part}"]), False))
                continue
            with NamedTemporaryFile(delete=False) as file:  # only its owner may read it
                names.append((file.name, True))
                file.write(b64decode(data))
        context.load_cert_chain(names[0][0], names[1][0])
    finally:
        for name, is_ours in names:
            if is_ours:
                os.unlink(name)


def _entry(config: Mapping[str, Any], kind: str, key: str, name: object, folder: Path | None = None) -> dict[str, Any]:
    """Return the entry `name` of a kubeconfig. Paths in it are relative to `folder`. Raises SourceError."""
    for each in config.get(kind) or ():
        if isinstance(each, dict) and each.get("name") == name and isinstance(each.get(key), dict):
            found = dict(each[key])
            for part in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
                if folder is not None and isinstance(found.get(part), str):
                    found[part] = str(folder / found[part])
            return found
    raise SourceError(f"it has no {key} {name!r}")


def _parsed(text: str) -> dict[str, Any]:
    """Return a kubeconfig, which is YAML; JSON is YAML too, and needs no library. Raises SourceError."""
    try:
        found = json.loads(text)
    except ValueError:
        try:
            require("discovery", "a kubeconfig in YAML")
            import yaml  # imported here: in a pod no library is needed

            found = yaml.safe_load(text)
        except MissingExtra as error:
            raise SourceError(str(error)) from None
        except yaml.YAMLError:
            raise SourceError("is not YAML") from None
    if not isinstance(found, dict):
        raise SourceError("is no kubeconfig")
    return found


def _text_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {type(error).__name__}") from None
