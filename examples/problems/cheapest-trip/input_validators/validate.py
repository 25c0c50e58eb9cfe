"""Format: 'n m', then m lines 'u v w'."""
import re
import sys

INTEGER = re.compile(rb"0|[1-9][0-9]{0,9}").fullmatch


def integer(token, low, high):
    if not INTEGER(token):
        raise ValueError("not a whole number within the bounds")
    value = int(token)
    if not low <= value <= high:
        raise ValueError("out of bounds")
    return value


def check(data):
    header, *rows, rest = data.split(b"\n")
    if rest:
        raise ValueError("no newline at the end")
    towns, roads = header.split(b" ")
    n = integer(towns, 1, 10**4)
    if len(rows) != integer(roads, 0, 2 * 10**4):
        raise ValueError("m is not the number of roads")
    for row in rows:
        u, v, w = row.split(b" ")
        integer(u, 1, n)
        integer(v, 1, n)
        integer(w, 0, 10**9)


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
