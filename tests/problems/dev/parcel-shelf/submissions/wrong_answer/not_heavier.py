"""Counts parcels that are as heavy, but not the parcel itself."""
import sys
from bisect import bisect_left, bisect_right, insort

shelf, weights = [], [0]
for line in sys.stdin.readlines()[1:]:
    kind, *rest = line.split()
    if kind == "heaviest":
        print(shelf[-1] if shelf else 0)
        continue
    i = int(rest[0])
    if kind == "add":
        weights.append(i)
        insort(shelf, i)
    elif kind == "take":
        del shelf[bisect_left(shelf, weights[i])]
    else:
        print(bisect_right(shelf, weights[i]) - 1)
