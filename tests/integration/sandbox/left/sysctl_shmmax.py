"""A setting of the kernel that belongs to a namespace."""


def leave() -> None:
    with open("/proc/sys/kernel/shmmax", "w") as file:
        file.write("81110")


def look() -> bool:
    with open("/proc/sys/kernel/shmmax") as file:
        return file.read().split() == ["81110"]
