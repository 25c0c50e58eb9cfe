"""Union without rank, find without shortening: a star with its centre first makes one long chain."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
edges = sorted(zip(numbers[2::3], numbers[::3], numbers[1::3]))
root = list(range(n + 1))


def find(u):
    while root[u] != u:
        u = root[u]
    return u


total = 0
for w, u, v in edges:
    u, v = find(u), find(v)
    if u != v:
        root[u] = v
        total += w
print(total)
