"""Counts those two levels below, not more."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
profit = [0] + numbers[:n]
boss = [0, 0] + numbers[n:]
total = profit[:]
for i in range(2, n + 1):
    total[boss[i]] += profit[i]
    if boss[boss[i]]:
        total[boss[boss[i]]] += profit[i]
total[0] = None
best = max(range(1, n + 1), key=lambda i: (total[i], -i))
print(best, total[best])
