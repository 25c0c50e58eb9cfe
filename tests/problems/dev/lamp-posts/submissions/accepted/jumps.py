"""Halves the distance; jumps from lamp to lamp by bisection."""
from bisect import bisect_left

n, k = map(int, input().split())
x = list(map(int, input().split()))


def enough(d):
    i = 0
    for _ in range(k - 1):
        i = bisect_left(x, x[i] + d, i + 1)
        if i == n:
            return False
    return True


low, high = 1, (x[-1] - x[0]) // (k - 1) + 1
while high - low > 1:
    d = (low + high) // 2
    if enough(d):
        low = d
    else:
        high = d
print(low)
