"""Resend rule: whether a request that failed may be sent to another endpoint, by what was sent of it.

A request that can be repeated without harm always may: one of an idempotent method (RFC 9110, 9.2.2), or one with an
`Idempotency-Key`. For all others `resend` says how far sending may have come. What was sent is told by the clients: by
the `trace` extension of httpcore, and by the connections of `balancer.transports.adapter`. If neither tells,
the request counts as sent whole, unless there was no connection.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, get_args

__all__ = ["HALF_SENT", "RESENDS", "FinalFailure", "Resend", "ResendRule", "Sending", "sending_of_thread"]

HALF_SENT: Final = "a part of its body was sent, which cannot be sent again"
"""Why a request whose body can be read once is not sent again."""

Resend = Literal["always", "incomplete", "unsent"]
"""How far a failed request may have been sent to be sent again."""

RESENDS: Final = get_args(Resend)

_IDEMPOTENT: Final = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")
_KEY: Final = "Idempotency-Key"
_UNCONNECTED: Final = (  # of httpx2, httpx and requests, then of aiohttp
    *("ConnectError", "ConnectTimeout", "PoolTimeout", "ClientConnectorError", "ClientConnectorDNSError"),
    *("ClientConnectorSSLError", "ConnectionTimeoutError"),
)
_WHY: Final = {
    "unsent": "resend is 'unsent', and a part of the request was sent",
    "incomplete": "resend is 'incomplete', and the whole request was sent",
}
_THREAD = threading.local()


class FinalFailure(Exception):
    """An attempt failed, and no further one may follow.

    Fields: `error`, the failure, and `last_word`: True if the client must not send the request again either.
    """

    def __init__(self, error: Exception, *, last_word: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.last_word = last_word


class Sending:
    """What was sent of a request, in one attempt.

    Attributes:
        heard: the client tells what it does.
        begun: a byte may have been sent.
        whole: all of it may have been sent.
    """

    __slots__ = ("begun", "heard", "whole")

    def __init__(self) -> None:
        self.heard = self.begun = self.whole = False

    @contextmanager
    def in_thread(self) -> Iterator[None]:
        """Let the connections of requests note here what this thread sends."""
        outer, _THREAD.sending = getattr(_THREAD, "sending", None), self
        try:
            yield
        finally:
            _THREAD.sending = outer

    def traced(self, theirs: Callable[[str, Any], Any] | None, *, later: bool) -> Callable[[str, Any], Any]:
        """Return a `trace` of httpcore that notes what is sent, and then calls the client's own.

        Args:
            theirs: the client's own.
            later: True in a task.
        """

        def hear(event: str, told: Any) -> Any:
            self._hear(event, told, later=later)
            return theirs(event, told) if theirs is not None else None

        async def hear_later(event: str, told: Any) -> None:
            coming = hear(event, told)
            if coming is not None:
                await coming

        return hear_later if later else hear

    def _hear(self, event: str, told: Any, *, later: bool) -> None:
        self.heard = True
        _, _, step = event.partition(".")
        match step:
            case "send_request_headers.started":
                self.begun = True
            case "send_request_body.complete":
                self.whole = True
            case "send_request_headers.failed" | "send_request_body.failed" if later:
                # A loop may still send what it took before the time was up.
                self.whole = self.whole or type(told.get("exception")).__name__ == "WriteTimeout"


class ResendRule:
    """Whether one request may be sent again.

    Args:
        resend: the option of the transport.
        method: of the request.
        headers: of the request, whatever their case.
    """

    def __init__(self, resend: Resend, method: str | None, headers: Mapping[str, Any]) -> None:
        repeats = resend != "always" and ((method or "").upper() in _IDEMPOTENT or bool(headers.get(_KEY)))
        self._resend = "always" if repeats else resend

    @property
    def watches(self) -> bool:
        """True if it needs to know what was sent."""
        return self._resend != "always"

    def refuses(self, sending: Sending, error: BaseException) -> str:
        """Return why a request must not be sent again after `error`; "" if it may."""
        if not self.watches:
            return ""
        if not sending.heard:
            sent = type(error).__name__ not in _UNCONNECTED
        else:
            sent = sending.begun if self._resend == "unsent" else sending.whole
        return _WHY[self._resend] if sent else ""


def sending_of_thread() -> Sending:
    """Return where the connections of this thread note what they send."""
    found: Sending | None = getattr(_THREAD, "sending", None)
    return Sending() if found is None else found
