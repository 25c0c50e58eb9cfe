"""The flags of a folder, as `chattr +d` sets them."""

import fcntl
import os
import struct


def leave() -> None:
    folder = os.open("/tmp", os.O_RDONLY)
    fcntl.ioctl(folder, 0x40086602, struct.pack("l", 0x40))


def look() -> bool:
    folder = os.open("/tmp", os.O_RDONLY)
    return bool(struct.unpack("l", fcntl.ioctl(folder, 0x80086601, bytes(8)))[0] & 0x40)
