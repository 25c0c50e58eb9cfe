"""A setting of the first process."""


def leave() -> None:
    with open("/proc/1/oom_score_adj", "w") as file:
        file.write("77")


def look() -> bool:
    with open("/proc/1/oom_score_adj") as file:
        return file.read().split() == ["77"]
