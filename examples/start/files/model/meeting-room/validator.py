"""Format: n, then n lines 'a b' with a < b."""
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
    if len(rows) != integer(header, 1, 2 * 10**4):
        raise ValueError("n is not the number of requests")
    for row in rows:
        start, end = row.split(b" ")
        if integer(start, 0, 10**9) >= integer(end, 0, 10**9):
            raise ValueError("a request that does not end after its start")


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
