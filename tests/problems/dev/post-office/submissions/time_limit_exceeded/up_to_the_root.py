"""Sizes by climbing from every village to the root: quadratic on long paths."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    roads[u].append((v, w))
    roads[v].append((u, w))
order, up, far, length = [1], [0] * (n + 1), [0] * (n + 1), [0] * (n + 1)
for u in order:
    for v, w in roads[u]:
        if v != up[u]:
            up[v] = u
            length[v] = w
            far[v] = far[u] + w
            order.append(v)
size = [0] * (n + 1)
for u in range(1, n + 1):
    v = u
    while v:
        size[v] += 1
        v = up[v]
total = [0] * (n + 1)
total[1] = sum(far)
for u in order[1:]:
    total[u] = total[up[u]] + (n - 2 * size[u]) * length[u]
home = min(range(1, n + 1), key=total.__getitem__)
print(home, total[home])
