"""Room on the stack: tells a call that begins too deep from code that recurses for ever."""

__all__ = ["has_no_room"]

# A strategy needs a few frames. One that recurses for ever fills hundreds before it fails.
_FRAMES = 100


def has_no_room(error: BaseException) -> bool:
    """Return whether `error` says that the stack was nearly full when the current function called something.

    The same call may then succeed from elsewhere. False if the code that was called has filled the stack by itself.
    """
    if not isinstance(error, RecursionError):
        return False
    frames, traceback = 0, error.__traceback__
    while traceback is not None:
        frames, traceback = frames + 1, traceback.tb_next
    return frames < _FRAMES
