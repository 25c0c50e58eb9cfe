"""A library for all programs."""


def leave() -> None:
    with open("/etc/ld.so.preload", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/etc/ld.so.preload") as file:
        return file.read().split() == ["left"]
