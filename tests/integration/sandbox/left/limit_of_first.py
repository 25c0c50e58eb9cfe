"""A limit of the first process."""

import resource


def leave() -> None:
    resource.prlimit(1, resource.RLIMIT_NOFILE, (77, 77))


def look() -> bool:
    return resource.prlimit(1, resource.RLIMIT_NOFILE) == (77, 77)
