"""A file in the root."""


def leave() -> None:
    with open("/left", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/left") as file:
        return file.read().split() == ["left"]
