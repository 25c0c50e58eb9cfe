"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write("7777")


def look() -> bool:
    with open("/proc/sys/kernel/ns_last_pid") as file:
        return file.read().split() == ["7777"]
