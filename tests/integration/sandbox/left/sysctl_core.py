"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/kernel/core_pattern", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/proc/sys/kernel/core_pattern") as file:
        return file.read().split() == ["left"]
