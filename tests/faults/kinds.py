"""HTTP faults by name: what a faulty server does to one request."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from tests.faults.exchange import Answer, Exchange, Fault, head_of

_DRIP_S = 0.05
_PIECE_BYTES = 2**16
_JSON = ("Content-Type", "application/json")
_HTML = b"<!DOCTYPE html><html><body><h1>It works!</h1></body></html>\n"


# -- connections --------------------------------------------------------------------------------------


def _refused(met: Exchange) -> bool:
    met.refuse(met.seconds)
    met.reset()
    return True


def _reset(met: Exchange) -> bool:
    met.reset()
    return True


def _reset_amid(met: Exchange) -> bool:
    answer = met.fetch()
    met.write(head_of(answer, len(answer.body)) + answer.body[: len(answer.body) // 2])
    time.sleep(_DRIP_S)  # otherwise the reset overtakes the bytes
    met.reset()
    return True


def _hang(met: Exchange) -> bool:
    met.idle()
    return True


def _drip(met: Exchange) -> bool:
    answer = met.fetch()
    met.write(head_of(answer, len(answer.body)))
    for byte in answer.body:
        if not met.write(bytes([byte])) or met.closing.wait(_DRIP_S):
            met.over = True
            break
    return True


def _late(met: Exchange) -> bool:
    answer = met.fetch()
    met.closing.wait(met.seconds)
    met.send(answer)
    return True


def _then_hang(met: Exchange) -> bool:
    met.send(met.fetch())
    met.idle()
    return True


# -- statuses -----------------------------------------------------------------------------------------


def _status(status: int, **headers: str) -> Callable[[Exchange], bool]:
    def do(met: Exchange) -> bool:
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        met.send(Answer(status, [_JSON, *named], json.dumps({"detail": HTTPStatus(status).phrase}).encode()))
        return True

    return do


def _busy_for(pause: Callable[[float], str]) -> Callable[[Exchange], bool]:
    return lambda met: _status(429, Retry_After=pause(met.seconds))(met)


def _redirect(met: Exchange) -> bool:
    met.send(Answer(307, [("Location", met.path)]))
    return True


# -- bodies -------------------------------------------------------------------------------------------


def _made_of(change: Callable[[Answer], Answer]) -> Callable[[Exchange], bool]:
    """Return a fault that answers with `change` of the right answer."""

    def do(met: Exchange) -> bool:
        met.send(change(met.fetch()))
        return True

    return do


def _with_header(answer: Answer, name: str, value: str) -> Answer:
    rest = [each for each in answer.headers if each[0].lower() != name.lower()]
    return replace(answer, headers=[*rest, (name, value)])


def _html(answer: Answer) -> Answer:
    return _with_header(replace(answer, body=_HTML), "Content-Type", "text/html; charset=utf-8")


def _wrong_types(answer: Answer) -> Answer:
    try:
        value = json.loads(answer.body)
    except ValueError:
        value = None
    return replace(answer, body=json.dumps(_of_other_type(value)).encode())


def _of_other_type(value: Any) -> Any:
    match value:
        case dict():
            return {name: _of_other_type(each) for name, each in value.items()}
        case list():
            return [_of_other_type(each) for each in value]
        case str():
            return [value]
        case _:
            return {"was": value}


def _swapped(met: Exchange) -> bool:
    met.fetch()  # another will get it
    other = met.other()
    if other is not None:
        met.send(other)
    return other is not None


def _huge(met: Exchange) -> bool:
    """Send spaces and then the right answer: it is valid JSON."""
    answer = met.fetch()
    sent = met.write(head_of(answer, met.huge_bytes + len(answer.body)))
    for start in range(0, met.huge_bytes, _PIECE_BYTES):
        if not sent or met.closing.is_set():
            met.over = True
            return True
        sent = met.write(b" " * min(_PIECE_BYTES, met.huge_bytes - start))
    met.write(answer.body)
    return True


def _twice(met: Exchange) -> bool:
    answer = met.fetch()
    length = len(answer.body)
    headers = [*answer.headers, ("Content-Length", str(length)), ("Content-Type", "text/plain")]
    met.send(replace(answer, headers=headers), length=length + 1)
    met.over = True
    return True


def _long_length(met: Exchange) -> bool:
    answer = met.fetch()
    met.send(answer, length=len(answer.body) + 1000)
    met.over = True
    return True


def _short_length(met: Exchange) -> bool:
    answer = met.fetch()
    met.send(answer, length=len(answer.body) // 2)
    return True


_ALL = (
    Fault("refused", "a reset, and then refused connections for a while", _refused),
    Fault("reset", "a reset before the answer", _reset),
    Fault("reset-amid", "a reset amid the body", _reset_amid),
    Fault("hang", "no answer at all", _hang),
    Fault("drip", "the body, a byte every 50 ms", _drip),
    Fault("late", "the right answer, late", _late),
    Fault("then-hang", "the right answer, then silence on the connection that is kept alive", _then_hang),
    Fault("500", "500", _status(500)),
    Fault("502", "502", _status(502)),
    Fault("503", "503", _status(503)),
    Fault("429-seconds", "429, Retry-After in seconds", _busy_for(lambda s: str(max(1, round(s))))),
    Fault("429-date", "429, Retry-After as a date", _busy_for(lambda s: formatdate(time.time() + s + 1, usegmt=True))),
    Fault("429-nonsense", "429, Retry-After: soon, I hope", _busy_for(lambda s: "soon, I hope")),
    Fault("redirect", "307, to where it came from", _redirect),
    Fault("html", "a page in HTML in the place of JSON", _made_of(_html)),
    Fault("truncated", "the first half of the JSON", _made_of(lambda a: replace(a, body=a.body[: len(a.body) // 2]))),
    Fault("wrong-types", "the JSON, with every value of another type", _made_of(_wrong_types)),
    Fault("empty", "an empty body", _made_of(lambda a: replace(a, body=b""))),
    Fault("swapped", "the answer to another request", _swapped),
    Fault(
        "gzip", "gzip in the header, not in the body", _made_of(lambda a: _with_header(a, "Content-Encoding", "gzip"))
    ),
    Fault("huge", "a body of 64 MiB", _huge),
    Fault("twice", "Content-Type and Content-Length twice, the second ones wrong", _twice),
    Fault("long-length", "a Content-Length of 1000 too many", _long_length),
    Fault("short-length", "a Content-Length of half the body", _short_length),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
"""Every fault that there is, by name, in the order of the docs."""
