"""The program itself."""


def leave() -> None:
    with open("/box/main.py", "a") as file:
        file.write("#left")


def look() -> bool:
    with open("/box/main.py") as file:
        return file.read().endswith("#left")
