"""Takes the village whose farthest village is nearest."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    roads[u].append((v, w))
    roads[v].append((u, w))


def walk(start):
    order, up, far = [start], [0] * (n + 1), [0] * (n + 1)
    for u in order:
        for v, w in roads[u]:
            if v != up[u]:
                up[v] = u
                far[v] = far[u] + w
                order.append(v)
    return far


first = walk(1)
a = max(range(1, n + 1), key=first.__getitem__)
from_a = walk(a)
b = max(range(1, n + 1), key=from_a.__getitem__)
from_b = walk(b)
centre = min(range(1, n + 1), key=lambda v: max(from_a[v], from_b[v]))
print(centre, sum(walk(centre)))
