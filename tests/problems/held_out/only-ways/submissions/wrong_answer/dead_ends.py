"""Counts dead ends, and takes them away until there is none."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
near = [set() for _ in range(n + 1)]
for u, v in zip(numbers[::2], numbers[1::2]):
    near[u].add(v)
    near[v].add(u)
ends = [u for u in range(1, n + 1) if len(near[u]) == 1]
count = 0
while ends:
    u = ends.pop()
    if near[u]:
        v = near[u].pop()
        near[v].remove(u)
        count += 1
        if len(near[v]) == 1:
            ends.append(v)
print(count)
