# Wrong: grants the request with the fewest conflicts first.
import sys
from bisect import bisect_left, bisect_right, insort

n, *numbers = map(int, sys.stdin.buffer.read().split())
starts, ends = numbers[::2], numbers[1::2]
by_start, by_end = sorted(starts), sorted(ends)
conflicts = [bisect_left(by_start, ends[i]) - bisect_right(by_end, starts[i]) for i in range(n)]
busy, chosen = [], []
for i in sorted(range(n), key=conflicts.__getitem__):
    at = bisect_right(busy, (starts[i], 10**10))
    if (at == 0 or busy[at - 1][1] <= starts[i]) and (at == len(busy) or busy[at][0] >= ends[i]):
        insort(busy, (starts[i], ends[i]))
        chosen.append(i + 1)
print(len(chosen))
print(*chosen)
