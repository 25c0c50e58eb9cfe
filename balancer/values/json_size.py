"""Size of JSON in values, counted before it is parsed. Pure."""

__all__ = ["json_values_in"]


def json_values_in(text: bytes | bytearray, *, at_most: int) -> int:
    """Return how many strings, commas and brackets `text` has outside its strings. Stops counting above `at_most`.

    It is checked before the text is parsed, because many small values take far more memory than their text. 60 MB of
    `[0,0,0,...]` become gigabytes of objects and block the server for seconds. Every value has one of these characters
    before it. Text that is not JSON gets a number, too.
    """
    if b"\\" in text:  # only strings have backslashes: without escapes, all quotes left are those around strings
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = text.count(b'"') // 2
    if strings > at_most:
        return strings  # splitting it would take as much memory as parsing it
    outside = text.split(b'"')[::2]
    return strings + sum(part.count(each) for part in outside for each in (b",", b"[", b"{"))
