"""A file in shared memory."""


def leave() -> None:
    with open("/dev/shm/left", "w") as file:
        file.write("left")


def look() -> bool:
    with open("/dev/shm/left") as file:
        return file.read().split() == ["left"]
