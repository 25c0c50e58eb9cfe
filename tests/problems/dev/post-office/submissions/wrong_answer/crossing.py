"""Takes the village with the most roads; among those, the best."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    roads[u].append((v, w))
    roads[v].append((u, w))
most = max(map(len, roads))
candidates = [v for v in range(1, n + 1) if len(roads[v]) == most][:20]


def total(start):
    order, up, far = [start], [0] * (n + 1), [0] * (n + 1)
    for u in order:
        for v, w in roads[u]:
            if v != up[u]:
                up[v] = u
                far[v] = far[u] + w
                order.append(v)
    return sum(far)


print(*min(((v, total(v)) for v in candidates), key=lambda pair: pair[1]))
