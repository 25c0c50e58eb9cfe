"""Format: n, then n lines 'name score'."""
import re
import sys

ROW = re.compile(rb"[A-Za-z]{1,12} (0|-?[1-9][0-9]{0,9})").fullmatch


def check(data):
    header, *rows, rest = data.split(b"\n")
    if rest or not re.fullmatch(rb"[1-9][0-9]{0,4}", header):
        raise ValueError("bad first line or no newline at the end")
    if int(header) > 10**4 or len(rows) != int(header):
        raise ValueError("n is out of bounds or not the number of players")
    for row in rows:
        match = ROW(row)
        if not match or abs(int(match[1])) > 10**9:
            raise ValueError("bad line or score out of bounds")


try:
    check(sys.stdin.buffer.read())
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(43)
sys.exit(42)
