"""Do something at a chosen point of some code, as a signal would: where CPython looks for signals.

CPython looks when a function starts, after a call, and when a loop goes round; nowhere else. So a test that
interrupts at each of these in turn has tried them all, which no number of real signals would.
"""

import dis
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FrameType
from typing import Any

LEASING = (
    *("balancer/core/", "balancer/kit/", "_strategies/", "balancer/endpoint.py"),
    *("balancer/pool/pool.py", "balancer/opening/aio.py"),
    *(f"balancer/shells/{name}.py" for name in ("engine", "waiting", "delivery")),
)
"""All that a lease may run."""

_LOOKS_AFTER = ("CALL", "JUMP_BACKWARD")


class Interrupted(BaseException):
    """Stands for KeyboardInterrupt."""


@cache
def _names(code: CodeType) -> dict[int, str]:
    return {instruction.offset: instruction.opname for instruction in dis.get_instructions(code)}


def _interrupt() -> None:
    raise Interrupted


def interrupted_at(
    number: int, folders: tuple[str, ...], act: Callable[[], object], handler: Callable[[], object] = _interrupt
) -> str | None:
    """Run `act`, and at its `number`-th point within files of `folders`, counted from 1, the handler.

    From Python 3.13 on, code has points only from the second time that it is run here.

    Args:
        number: of the point; 0 for none.
        folders: parts of paths of the files that count.
        act: what is interrupted.
        handler: what the signal handler does; by default it raises `Interrupted`, as that of Ctrl-C does.

    Returns:
        Where that was, or None if `act` has fewer points.
    """
    points = 0
    where: str | None = None
    last: dict[FrameType, str] = {}

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal points, where
        if where is not None or not any(folder in frame.f_code.co_filename for folder in folders):
            return None
        frame.f_trace = trace  # from 3.13 on, opcodes are traced only where this is set when they are asked for
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            points += last.get(frame, "CALL").startswith(_LOOKS_AFTER)
            last[frame] = _names(frame.f_code).get(frame.f_lasti, "")
            if 0 < number == points:
                where = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
                handler()
        elif event == "return":
            last.pop(frame, None)  # a frame that is kept keeps what its variables refer to
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    except Interrupted:
        pass
    finally:
        sys.settrace(before)
        last.clear()
    return where


def points(*folders: str, least: int, every: int = 1) -> Iterator[Callable[..., str | None]]:
    """Yield what interrupts at a point, for each point in turn, once before them and once after them for none.

    Each is called once, as `interrupt(act, handler)` or `interrupt(act)`; it returns where that was.

    Args:
        folders: parts of paths of the files that count.
        least: there must be more points than that.
        every: which of them to try.
    """
    number, where = 1 - 2 * every, None  # once in vain, see `interrupted_at`

    def interrupt(act: Callable[[], object], handler: Callable[[], object] = _interrupt) -> str | None:
        nonlocal where
        where = interrupted_at(max(number, 0), folders, act, handler)
        return where

    while number < 1 or where is not None:
        number += every
        yield interrupt
    assert number > least, f"there were {number} points, fewer than that has"
