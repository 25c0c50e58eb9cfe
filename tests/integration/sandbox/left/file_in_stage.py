"""A file beside the input."""


def leave() -> None:
    with open("/stage/left", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/stage/left") as file:
        return file.read().split() == ["left"]
