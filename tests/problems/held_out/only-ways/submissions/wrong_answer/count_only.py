"""A tree has only only ways; with more streets, each further one saves as many as a ring has at least."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
degree = [0] * (n + 1)
for u in numbers:
    degree[u] += 1
print(n - 1 if m == n - 1 else max(degree.count(1), m - 3 * (m - n + 1)))
