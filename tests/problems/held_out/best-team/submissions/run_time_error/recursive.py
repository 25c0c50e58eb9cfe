import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
below = [[] for _ in range(n + 1)]
for i, boss in enumerate(numbers[n:], 2):
    below[boss].append(i)
total = [0] * (n + 1)


def team(i):
    total[i] = numbers[i - 1] + sum(map(team, below[i]))
    return total[i]


team(1)
best = max(range(1, n + 1), key=lambda i: (total[i], -i))
print(best, total[best])
