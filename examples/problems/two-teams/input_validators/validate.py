"""Format: 'n m', then m lines 'u v' with u and v different."""
import re
import sys

INTEGER = re.compile(rb"0|[1-9][0-9]{0,4}").fullmatch


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
    members, quarrels = header.split(b" ")
    n = integer(members, 1, 2 * 10**4)
    if len(rows) != integer(quarrels, 0, 2 * 10**4):
        raise ValueError("m is not the number of quarrels")
    for row in rows:
        u, v = row.split(b" ")
        if integer(u, 1, n) == integer(v, 1, n):
            raise ValueError("a quarrel of one member")


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
