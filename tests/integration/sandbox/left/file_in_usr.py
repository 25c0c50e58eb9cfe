"""A file of the system."""


def leave() -> None:
    with open("/usr/left", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/usr/left") as file:
        return file.read().split() == ["left"]
