"""A mount."""

import ctypes
import os


def leave() -> None:
    os.makedirs("/tmp/mount", exist_ok=True)
    if ctypes.CDLL(None, use_errno=True).mount(b"left", b"/tmp/mount", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), "refused")


def look() -> bool:
    return os.path.ismount("/tmp/mount")
