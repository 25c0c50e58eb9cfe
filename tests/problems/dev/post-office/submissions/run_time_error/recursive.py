import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    roads[u].append((v, w))
    roads[v].append((u, w))
size = [1] * (n + 1)
total = [0] * (n + 1)


def down(u, up):
    for v, w in roads[u]:
        if v != up:
            down(v, u)
            size[u] += size[v]
            total[u] += total[v] + w * size[v]


def over(u, up):
    for v, w in roads[u]:
        if v != up:
            total[v] = total[u] + (n - 2 * size[v]) * w
            over(v, u)


down(1, 0)
over(1, 0)
home = min(range(1, n + 1), key=total.__getitem__)
print(home, total[home])
