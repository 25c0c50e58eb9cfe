"""The state of the network."""

import fcntl
import socket
import struct


def leave() -> None:
    with socket.socket() as one:
        fcntl.ioctl(one, 0x8914, struct.pack("16sh14x", b"lo", 0x1000))


def look() -> bool:
    with socket.socket() as one:
        return bool(struct.unpack("16sh14x", fcntl.ioctl(one, 0x8913, struct.pack("16sh14x", b"lo", 0)))[1] & 0x1000)
