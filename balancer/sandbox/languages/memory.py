"""Memory limits in the last words of a program, by its language; for local and remote runs."""

import signal

__all__ = ["died_of_memory_limit"]

# The last words of other runtimes.
_MEMORY_WORDS = {
    "csharp": (b"System.OutOfMemoryException", b"Out of memory"),
    "go": (b"fatal error: runtime: out of memory", b"runtime: cannot allocate memory"),
    "haskell": (b"heap exhausted", b"Heap exhausted", b"unable to allocate memory"),
    "javascript": (b"JavaScript heap out of memory", b"Array buffer allocation failed"),
    "lua": (b"not enough memory",),
    "ocaml": (b"Out of memory", b"Out_of_memory"),
    "perl": (b"Out of memory",),
    "php": (b"Allowed memory size of", b"Out of memory"),
    "ruby": (b"NoMemoryError", b"failed to allocate memory"),
    "rust": (b"memory allocation of",),
}
_TAIL_BYTES = 4096  # the end of stderr that is searched


def died_of_memory_limit(language: str, exit_code: int, stderr: bytes) -> bool:
    """Return whether a program died of a memory limit, by its last words.

    Python: the traceback ends with MemoryError and the exit code is 1. If memory does not suffice for the traceback,
    Python names the error in a dump that ends with "lost sys.stderr". C++: the runtime prints std::bad_alloc and
    aborts. Java: the last words name an OutOfMemoryError. Any other death (a crash after `malloc` returned null, a
    stack that could not grow) looks like any other crash and is not counted. A program can forge this, but only to its
    own cost.
    """
    tail = stderr[-_TAIL_BYTES:].rstrip()
    if language in ("python", "pypy"):
        last = tail.rpartition(b"\n")[2]
        lost = last == b"lost sys.stderr" and b"object type name: MemoryError\n" in tail
        return exit_code == 1 and (lost or last.startswith(b"MemoryError"))
    if language == "cpp":
        return exit_code == -signal.SIGABRT and b"'std::bad_alloc'" in tail
    if language in ("java", "kotlin"):
        return exit_code in (1, 3) and b"java.lang.OutOfMemoryError" in tail
    return exit_code != 0 and any(words in tail for words in _MEMORY_WORDS.get(language, ()))
