"""A table of answers."""

import os
import sqlite3


def leave() -> None:
    with sqlite3.connect("/tmp/answers") as table:
        table.execute("create table left (a)")


def look() -> bool:
    return os.path.exists("/tmp/answers")
