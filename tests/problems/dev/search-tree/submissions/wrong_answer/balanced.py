"""The root parts the weight as evenly as it can."""
import sys

sys.setrecursionlimit(10000)
n, *p = sys.stdin.read().split()
p = list(map(float, p))
before = [0.0]
for x in p:
    before.append(before[-1] + x)


def cost(i, j):
    if i == j:
        return 0.0
    k = min(range(i, j), key=lambda k: abs((before[k] - before[i]) - (before[j] - before[k + 1])))
    return before[j] - before[i] + cost(i, k) + cost(k + 1, j)


print(cost(0, int(n)))
