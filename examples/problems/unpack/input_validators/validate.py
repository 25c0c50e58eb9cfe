"""Format: n, then n lines 'k c'; the sum of all k is at most 10^6."""
import re
import sys

ROW = re.compile(rb"([1-9][0-9]{0,6}) [A-Za-z_]").fullmatch


def check(data):
    header, *rows, rest = data.split(b"\n")
    if rest or not re.fullmatch(rb"[1-9][0-9]{0,3}", header):
        raise ValueError("bad first line or no newline at the end")
    if int(header) > 1000 or len(rows) != int(header):
        raise ValueError("n is out of bounds or not the number of lines")
    matches = [ROW(row) for row in rows]
    if not all(matches):
        raise ValueError("bad line")
    if sum(int(match[1]) for match in matches) > 10**6:
        raise ValueError("text too long")


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
