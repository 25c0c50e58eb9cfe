"""Looks through the shelf for the heaviest, every time."""
import sys
from bisect import bisect_left, insort

here, shelf, weights = {}, [], [0]
for line in sys.stdin.readlines()[1:]:
    kind, *rest = line.split()
    if kind == "heaviest":
        print(max(here.values(), default=0))
        continue
    i = int(rest[0])
    if kind == "add":
        here[len(weights)] = i
        weights.append(i)
        insort(shelf, i)
    elif kind == "take":
        del here[i]
        del shelf[bisect_left(shelf, weights[i])]
    else:
        print(bisect_left(shelf, weights[i]))
