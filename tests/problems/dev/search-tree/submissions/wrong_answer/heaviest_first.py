"""The likeliest word is the root, and so on downwards."""
import sys

sys.setrecursionlimit(10000)
n, *p = sys.stdin.read().split()
p = list(map(float, p))


def cost(i, j):
    if i == j:
        return 0.0
    k = max(range(i, j), key=p.__getitem__)
    return sum(p[i:j]) + cost(i, k) + cost(k + 1, j)


print(cost(0, int(n)))
