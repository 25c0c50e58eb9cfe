"""Prim, looking at all trenches for every house that is added."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
edges = sorted(zip(numbers[2::3], numbers[::3], numbers[1::3]))
inside = {1}
total = 0
while len(inside) < n:
    for w, u, v in edges:
        if (u in inside) != (v in inside):
            inside |= {u, v}
            total += w
            break
print(total)
