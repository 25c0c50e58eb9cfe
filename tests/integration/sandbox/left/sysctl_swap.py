"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/vm/swappiness", "w") as file:
        file.write("17")


def look() -> bool:
    with open("/proc/sys/vm/swappiness") as file:
        return file.read().split() == ["17"]
