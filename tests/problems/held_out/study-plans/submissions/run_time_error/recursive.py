import sys
from functools import cache

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
after = [[] for _ in range(n + 1)]
for a, b in zip(numbers[::2], numbers[1::2]):
    after[a].append(b)


@cache
def ways(a):
    return 1 if a == n else sum(map(ways, after[a])) % (10**9 + 7)


print(ways(1))
