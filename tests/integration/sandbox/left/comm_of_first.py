"""A setting of the first process."""


def leave() -> None:
    with open("/proc/1/comm", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/proc/1/comm") as file:
        return file.read().split() == ["left"]
