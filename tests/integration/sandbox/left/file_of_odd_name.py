"""A name that is an option of `rm`."""


def leave() -> None:
    with open("/box/-rf *", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/box/-rf *") as file:
        return file.read().split() == ["left"]
