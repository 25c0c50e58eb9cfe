"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/kernel/sem", "w") as file:
        file.write("77 77000 77 77")


def look() -> bool:
    with open("/proc/sys/kernel/sem") as file:
        return file.read().split() == ["77", "77000", "77", "77"]
