import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
near = [[] for _ in range(n + 1)]
for u, v in zip(numbers[::2], numbers[1::2]):
    near[u].append(v)
    near[v].append(u)
num, low = [0] * (n + 1), [0] * (n + 1)
count = bridges = 0


def go(u, up):
    global count, bridges
    count += 1
    num[u] = low[u] = count
    for v in near[u]:
        if v != up:
            if num[v]:
                low[u] = min(low[u], num[v])
            else:
                go(v, u)
                low[u] = min(low[u], low[v])
                bridges += low[v] > num[u]


go(1, 0)
print(bridges)
