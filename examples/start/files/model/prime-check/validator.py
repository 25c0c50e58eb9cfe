"""Format: t, then t lines with one integer each."""
import re
import sys

INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,9}").fullmatch


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
    if len(rows) != integer(header, 1, 50):
        raise ValueError("t is not the number of lines")
    for row in rows:
        integer(row, -(2**31), 2**31 - 1)


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
