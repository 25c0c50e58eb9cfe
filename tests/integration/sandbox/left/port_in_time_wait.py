"""A port that waits for late packets."""

import socket


def leave() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        server.accept()[0].close()
        one.recv(1)


def look() -> bool:
    with open("/proc/net/tcp") as file:
        return any(line.split()[3] in ("06", "05", "04", "09") for line in file)
