"""Format: 'n s', then one line with n coin values."""
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
    header, line, rest = data.split(b"\n")
    if rest:
        raise ValueError("no newline at the end")
    kinds, amount = header.split(b" ")
    integer(amount, 0, 10**4)
    coins = line.split(b" ")
    if len(coins) != integer(kinds, 1, 20):
        raise ValueError("n is not the number of coins")
    for coin in coins:
        integer(coin, 1, 10**4)


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
