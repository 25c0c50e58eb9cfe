"""Another name of a file that is shared."""

import os


def leave() -> None:
    os.link("/usr/bin/env", "/tmp/env")


def look() -> bool:
    return os.path.exists("/tmp/env")
