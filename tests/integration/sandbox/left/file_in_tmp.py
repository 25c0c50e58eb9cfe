"""A file."""


def leave() -> None:
    with open("/tmp/left", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/tmp/left") as file:
        return file.read().split() == ["left"]
