"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/net/core/somaxconn", "w") as file:
        file.write("4097")


def look() -> bool:
    with open("/proc/sys/net/core/somaxconn") as file:
        return file.read().split() == ["4097"]
