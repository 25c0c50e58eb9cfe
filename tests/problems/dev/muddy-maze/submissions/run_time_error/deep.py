"""Spreads by recursion."""
import sys

r, c, *rows = sys.stdin.read().split()
r, c = int(r), int(c)
far = {}


def spread(i, j, d):
    if not (0 <= i < r and 0 <= j < c) or rows[i][j] == "#":
        return
    if rows[i][j] == "~":
        d += 2
    if far.get((i, j), 10**9) <= d:
        return
    far[i, j] = d
    for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
        spread(a, b, d + 1)


start = next((i, row.index("S")) for i, row in enumerate(rows) if "S" in row)
stop = next((i, row.index("E")) for i, row in enumerate(rows) if "E" in row)
spread(*start, 0)
print(far.get(stop, -1))
