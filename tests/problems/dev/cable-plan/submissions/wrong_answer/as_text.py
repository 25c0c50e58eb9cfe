"""Sorts the costs as text."""
import sys

lines = sys.stdin.read().split("\n")
n, m = map(int, lines[0].split())
edges = sorted((line.split()[2], line.split()[:2]) for line in lines[1:m + 1])
root = list(range(n + 1))


def find(u):
    while root[u] != u:
        root[u] = root[root[u]]
        u = root[u]
    return u


total = 0
for w, (u, v) in edges:
    a, b = find(int(u)), find(int(v))
    if a != b:
        root[a] = b
        total += int(w)
print(total)
