"""What the network has counted."""

import socket


def leave() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.sendto(b"left", ("127.0.0.1", 9))


def look() -> bool:
    with open("/proc/net/snmp") as file:
        counts = [line.split()[1:] for line in file if line.startswith("Udp:")][1]
    return any(map(int, counts[:4]))
