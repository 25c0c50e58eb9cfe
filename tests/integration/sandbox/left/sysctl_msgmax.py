"""A setting of the kernel that belongs to a namespace."""


def leave() -> None:
    with open("/proc/sys/kernel/msgmax", "w") as file:
        file.write("8111")


def look() -> bool:
    with open("/proc/sys/kernel/msgmax") as file:
        return file.read().split() == ["8111"]
