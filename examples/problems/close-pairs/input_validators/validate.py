"""Format: 'n d', then one line with n integers."""
import re
import sys

INTEGER = re.compile(rb"0|[1-9][0-9]{0,5}").fullmatch


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
    houses, distance = header.split(b" ")
    integer(distance, 0, 5 * 10**5)
    numbers = line.split(b" ")
    if len(numbers) != integer(houses, 1, 2 * 10**5):
        raise ValueError("n is not the number of houses")
    for number in numbers:
        integer(number, 0, 5 * 10**5)


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
