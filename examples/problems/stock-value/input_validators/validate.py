"""Format: n, then n lines 'p q'."""
import re
import sys

INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,6}").fullmatch


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
    if len(rows) != integer(header, 1, 5 * 10**4):
        raise ValueError("n is not the number of lines")
    for row in rows:
        price, quantity = row.split(b" ")
        integer(price, 0, 10**6)
        integer(quantity, -(10**6), 10**6)


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
