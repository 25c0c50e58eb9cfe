"""A setting of the kernel that belongs to a namespace."""


def leave() -> None:
    with open("/proc/sys/fs/mqueue/queues_max", "w") as file:
        file.write("81")


def look() -> bool:
    with open("/proc/sys/fs/mqueue/queues_max") as file:
        return file.read().split() == ["81"]
