# Wrong: of several roads between two towns only the last one is kept.
import sys
from heapq import heappop, heappush

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
toll = [{} for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    toll[u][v] = toll[v][u] = w

known = {}
heap = [(0, 1)]
while heap:
    cost, town = heappop(heap)
    if town not in known:
        known[town] = cost
        for other, w in toll[town].items():
            heappush(heap, (cost + w, other))
print(known.get(n, -1))
