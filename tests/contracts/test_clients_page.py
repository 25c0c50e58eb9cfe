"""The page of client libraries says what their record says, and has each library with how it takes the pool."""

import re

from tests.benchmarks.client_faces import LIBRARIES
from tests.benchmarks.show_clients import BEGIN, END, PAGE, read, written

_FINE = ("", "not in this version")


def test_it_is_what_the_record_says_between_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == 1
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == written(read())


def test_the_record_has_each_face_of_each_library() -> None:
    record = read()["libraries"]
    assert list(record) == list(LIBRARIES)
    for name, library in LIBRARIES.items():
        faces = [*library.faces, *(f"{face}, async" for face in library.afaces)]
        versions = {row[0] for row in record[name]}
        assert len(versions) == 1 + bool(library.lowest), name
        assert sorted(row[2] for row in record[name]) == sorted(faces * len(versions)), name


def test_nothing_was_lost_and_no_slot_is_taken() -> None:
    wrong = [
        (name, row)
        for name, rows in read()["libraries"].items()
        for row in rows
        if row[3] or row[5] or row[6] not in _FINE
    ]
    assert wrong == []


def test_each_says_how_it_takes_the_pool_and_how_its_own_retries_are_off() -> None:
    for name, library in LIBRARIES.items():
        assert library.own_retries, name
        assert re.search(r"\bpool\b", f"{library.how}{library.ahow}{''.join(library.faces.values())}"), name
