"""Format: n, then n lines 'add x' or 'undo k'."""
import re
import sys

ROW = re.compile(rb"(add|undo) (0|-?[1-9][0-9]{0,9})").fullmatch
BOUNDS = {b"add": (-(10**9), 10**9), b"undo": (0, 2 * 10**4)}


def check(data):
    header, *rows, rest = data.split(b"\n")
    if rest or not re.fullmatch(rb"[1-9][0-9]{0,4}", header):
        raise ValueError("bad first line or no newline at the end")
    if int(header) > 2 * 10**4 or len(rows) != int(header):
        raise ValueError("n is out of bounds or not the number of commands")
    for row in rows:
        match = ROW(row)
        if not match:
            raise ValueError("bad command")
        low, high = BOUNDS[match[1]]
        if not low <= int(match[2]) <= high:
            raise ValueError("argument out of bounds")


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
