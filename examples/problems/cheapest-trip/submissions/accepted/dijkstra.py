import sys
from heapq import heappop, heappush

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
    roads[u].append((v, w))
    roads[v].append((u, w))

known = {}
heap = [(0, 1)]
while heap and n not in known:
    cost, town = heappop(heap)
    if town in known:
        continue
    known[town] = cost
    for other, toll in roads[town]:
        if other not in known:
            heappush(heap, (cost + toll, other))
print(known.get(n, -1))
