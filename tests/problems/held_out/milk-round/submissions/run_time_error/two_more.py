"""Chooses the first and the last farm of the round."""
from functools import cache

n = int(input())
d = [list(map(int, input().split())) for _ in range(n)]


@cache
def way(s, i):
    if s == 1 << i:
        return d[0][i]
    s ^= 1 << i
    return min(way(s, j) + d[j][i] for j in range(1, n) if s >> j & 1)


print(min(way((1 << n) - 2, i) + d[i][0] for i in range(1, n)))
