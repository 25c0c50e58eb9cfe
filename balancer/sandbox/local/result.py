"""The result of a sandboxed process, from the report of its shell and that of the kernel.

Decides which of the two is believed for what, and when nothing is known. It must not know what the end means for a
program (`status`).

The shell speaks on file descriptor 0 (see `isolation.script`): a line "ready" when everything before the program went
well, and "done N" when the program ended with code N; between them, a word for each file that is fetched. A failure of
the set-up can so never be mistaken for the program's doing. The line is out of the program's reach; all the same, what
comes on it is read as if the program had written it, and anything that the shell does not say is the program's doing.
"""

import base64
import binascii
import os
import resource
import signal

from balancer.sandbox.local.child import ChildProcess
from balancer.sandbox.local.command import ProcessResult, StopReason

__all__ = ["process_result_of", "status_bytes"]

_STATUS_BYTES = 4096
_SHELL_SIGNALS = range(129, 193)  # 128 + n is how shells report signal n (1 to 64)


def status_bytes(output_bytes: int, fetches: int) -> int:
    """Return how many bytes the shell may say, with `fetches` files of `output_bytes` bytes together."""
    return _STATUS_BYTES + (output_bytes * 4 // 3 if fetches else 0)


def process_result_of(
    child: ChildProcess, stopped_by: StopReason | None, words: list[bytes], out: bytes, err: bytes, fetches: int
) -> ProcessResult:
    """Return how the command ended.

    Args:
        child: the process, once it was waited for.
        stopped_by: why it was stopped, or None.
        words: what the shell said.
        out, err: what the command printed.
        fetches: how many files were asked for.
    """
    code = os.waitstatus_to_exitcode(child.status or 0)
    ready = words[:1] == [b"ready"]
    done = child.nested and _is_report(words, fetches)
    if done:
        code = int(words[-1])
    starved = child.group is not None and child.placed and child.group.starved()
    # What runs inside a pid namespace can kill neither the process outside it nor its own first process.
    lost = stopped_by is None and child.nested and not done and code == -signal.SIGKILL and not starved
    tampered = stopped_by is None and child.nested and ready and not done and not lost and not starved
    return ProcessResult(
        ready=ready,
        exit_code=None if stopped_by else code or 1 if tampered else 128 - code if code in _SHELL_SIGNALS else code,
        stopped_by=stopped_by,
        lost=lost,
        waited_s=child.waited_s,
        starved=starved,
        tampered=tampered,
        stdout=out,
        stderr=err,
        cpu_s=_cpu_s(child),
        peak_bytes=_peak_bytes(child),
        fetched=_fetched(words[1:-2] if done else [], fetches),
    )


def _is_report(words: list[bytes], fetches: int) -> bool:
    """Tell whether `words` are those of the shell at the end of a run: no more, no less, and a code that can be."""
    if len(words) != fetches + 3 or words[0] != b"ready" or words[-2] != b"done":
        return False
    code = words[-1]
    return len(code) <= 3 and code.isdigit() and int(code) <= 255


def _fetched(words: list[bytes], fetches: int) -> tuple[bytes | None, ...]:
    """Return the files that `words` stand for; a program that meddles with them has no files."""
    if len(words) != fetches:
        return (None,) * fetches
    return tuple(_decoded(word[1:]) if word[:1] == b"+" else None for word in words)


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _cpu_s(child: ChildProcess) -> float | None:
    if (counted_s := child.counted_s()) is not None:
        return counted_s
    if child.usage is None or child.lost_root:
        return None
    return max(child.tally.seen_s, child.usage.ru_utime + child.usage.ru_stime)


def _peak_bytes(child: ChildProcess) -> int | None:
    """Return the most memory of all together where a group counts; else the largest resident size, if above our own.

    A process that was started by vfork begins its life, for the kernel's books, with the peak of its parent,
    so anything up to our own peak may be ours and says nothing.
    """
    if child.placed and child.group is not None and (counted_bytes := child.group.peak_bytes()) is not None:
        return counted_bytes
    own_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_kib = child.usage.ru_maxrss if child.usage else 0
    return peak_kib * 1024 if peak_kib > own_kib else None
