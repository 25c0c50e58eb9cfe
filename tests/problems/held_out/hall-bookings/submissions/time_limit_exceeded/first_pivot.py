"""Sorts by hand, with the first as the pivot."""
import sys
from bisect import bisect_right

n, q, *numbers = map(int, sys.stdin.buffer.read().split())
stack, ordered = [[(numbers[2 * i], numbers[2 * i + 1], i + 1) for i in range(n)]], []
while stack:
    part = stack.pop()
    if len(part) < 2:
        ordered += part
        continue
    pivot = part[0]
    stack.append([p for p in part if p[0] > pivot[0]])
    stack.append([pivot])
    stack.append([p for p in part if p[0] < pivot[0]])
starts = [b[0] for b in ordered]
for x in numbers[2 * n:]:
    i = bisect_right(starts, x) - 1
    if i >= 0 and x <= ordered[i][1]:
        print(ordered[i][2], ordered[i][1] - ordered[i][0] + 1)
    else:
        print("free")
