import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
root = list(range(n + 1))


def find(u):
    return u if root[u] == u else find(root[u])


total = 0
for w, u, v in sorted(zip(numbers[2::3], numbers[::3], numbers[1::3])):
    if find(u) != find(v):
        root[find(u)] = find(v)
        total += w
print(total)
