"""A setting of the first process."""


def leave() -> None:
    with open("/proc/1/coredump_filter", "w") as file:
        file.write("00000001")


def look() -> bool:
    with open("/proc/1/coredump_filter") as file:
        return file.read().split() == ["00000001"]
