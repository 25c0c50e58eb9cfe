"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/kernel/shm_rmid_forced", "w") as file:
        file.write("1")


def look() -> bool:
    with open("/proc/sys/kernel/shm_rmid_forced") as file:
        return file.read().split() == ["1"]
