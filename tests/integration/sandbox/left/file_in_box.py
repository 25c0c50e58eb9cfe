"""A hidden file."""


def leave() -> None:
    with open("/box/.left", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/box/.left") as file:
        return file.read().split() == ["left"]
