"""Union by giving new names to all houses of one part."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
part = list(range(n + 1))
total = 0
for w, u, v in sorted(zip(numbers[2::3], numbers[::3], numbers[1::3])):
    a, b = part[u], part[v]
    if a != b:
        total += w
        part = [b if p == a else p for p in part]
print(total)
