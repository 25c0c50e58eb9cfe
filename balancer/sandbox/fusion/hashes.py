"""Hashes of the compiled programs that a SandboxFusion server may have kept.

Decides what identifies a program. What a server has kept is only used if it is the binary whose hash was told when it
was made, before any program ran: so nothing that another program puts in its place is ever run.
"""

import hashlib
import re
import secrets
import threading

from balancer.sandbox.languages.layout import ProgramLayout

__all__ = ["KnownHashes"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


class KnownHashes:
    """The binaries that one server has been told to keep. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._salt = secrets.token_hex(8)  # so that nobody's names are those of another run
        self._sha256: dict[str, str] = {}

    def look_up(self, laid: ProgramLayout) -> tuple[str, str]:
        """Return the name of the program, and the hash of its binary; "" if that is not known."""
        hashed = hashlib.sha256(self._salt.encode())
        for part in (*laid.compile, "", *laid.pragmatic, "", *laid.further):
            hashed.update(part.encode("utf-8", "surrogateescape") + b"\0")
        for name, content in sorted(laid.files.items()):
            hashed.update(f"\0{name}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
        key = hashed.hexdigest()
        with self._lock:
            return key, self._sha256.get(key, "")

    def learn(self, key: str, sha256: str) -> None:
        """Remember the hash of a binary; anything else is ignored."""
        if key and _SHA256.fullmatch(sha256):
            with self._lock:
                self._sha256[key] = sha256
