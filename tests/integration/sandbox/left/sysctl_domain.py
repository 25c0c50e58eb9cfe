"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/kernel/domainname", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/proc/sys/kernel/domainname") as file:
        return file.read().split() == ["left"]
