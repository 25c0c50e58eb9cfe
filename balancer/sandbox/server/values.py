"""How many values some JSON has, before it is read: many small ones take far more memory than their text.

60 MB of `[0,0,0,...]` are gigabytes of objects, and seconds in which nothing else is done. Pure.
"""

__all__ = ["json_values_in"]


def json_values_in(text: bytes | bytearray, *, at_most: int) -> int:
    """Return how many strings, commas and brackets `text` has outside its strings; not all if they are over `at_most`.

    Every value has one of these before it. What makes no sense as JSON gets a number, too.
    """
    if b"\\" in text:  # only strings have backslashes: what remains has no quotes but those around strings
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = text.count(b'"') // 2
    if strings > at_most:
        return strings  # to cut it up would take as much memory as to read it
    outside = text.split(b'"')[::2]
    return strings + sum(part.count(each) for part in outside for each in (b",", b"[", b"{"))
