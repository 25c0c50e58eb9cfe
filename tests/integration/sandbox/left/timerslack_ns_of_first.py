"""A setting of the first process."""


def leave() -> None:
    with open("/proc/1/timerslack_ns", "w") as file:
        file.write("777777")


def look() -> bool:
    with open("/proc/1/timerslack_ns") as file:
        return file.read().split() == ["777777"]
