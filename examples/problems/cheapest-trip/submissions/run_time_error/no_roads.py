# Wrong: unpacking the columns fails if there is no road.
import sys
from heapq import heappop, heappush

lines = sys.stdin.read().splitlines()
n, m = map(int, lines[0].split())
us, vs, ws = zip(*(map(int, line.split()) for line in lines[1:]))
roads = [[] for _ in range(n + 1)]
for u, v, w in zip(us + vs, vs + us, ws + ws):
    roads[u].append((v, w))

known = {}
heap = [(0, 1)]
while heap:
    cost, town = heappop(heap)
    if town not in known:
        known[town] = cost
        for other, w in roads[town]:
            heappush(heap, (cost + w, other))
print(known.get(n, -1))
