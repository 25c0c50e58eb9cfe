"""The priority of the session."""


def leave() -> None:
    with open("/proc/self/autogroup", "w") as file:
        file.write("7")


def look() -> bool:
    with open("/proc/self/autogroup") as file:
        return "nice 7" in file.read()
