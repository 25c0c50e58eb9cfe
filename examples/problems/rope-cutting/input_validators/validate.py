"""Format: 'n k', then one line with n integers."""
import re
import sys

INTEGER = re.compile(rb"0|[1-9][0-9]{0,12}").fullmatch


def integer(token, low, high):
    if not INTEGER(token):
        raise ValueError("not a whole number within the bounds")
    value = int(token)
    if not low <= value <= high:
        raise ValueError("out of bounds")
    return value


def check(data):
    header, line, rest = data.split(b"\n")
    if rest:
        raise ValueError("no newline at the end")
    ropes, pieces = header.split(b" ")
    integer(pieces, 1, 10**12)
    lengths = line.split(b" ")
    if len(lengths) != integer(ropes, 1, 10**4):
        raise ValueError("n is not the number of ropes")
    for length in lengths:
        integer(length, 1, 10**9)


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
