# Wrong: 10^9 stands for "not reached", but a trip may cost that much.
import sys
from heapq import heappop, heappush

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    roads[u].append((v, w))
    roads[v].append((u, w))

cost = [10**9] * (n + 1)
cost[1] = 0
heap = [(0, 1)]
while heap:
    now, town = heappop(heap)
    if now > cost[town]:
        continue
    for other, toll in roads[town]:
        if now + toll < cost[other]:
            cost[other] = now + toll
            heappush(heap, (cost[other], other))
print(cost[n] if cost[n] < 10**9 else -1)
