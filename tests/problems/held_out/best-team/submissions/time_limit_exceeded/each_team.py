"""Walks through the team of everyone."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
below = [[] for _ in range(n + 1)]
for i, boss in enumerate(numbers[n:], 2):
    below[boss].append(i)
best = None
for i in range(1, n + 1):
    total, stack = 0, [i]
    while stack:
        j = stack.pop()
        total += numbers[j - 1]
        stack += below[j]
    if best is None or total > best[1]:
        best = i, total
print(*best)
