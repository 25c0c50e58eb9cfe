"""A heap with a set of weights that are gone: a weight that comes again stays gone."""
import heapq
import sys
from bisect import bisect_left, insort

heap, gone, shelf, weights = [], set(), [], [0]
for line in sys.stdin.readlines()[1:]:
    kind, *rest = line.split()
    if kind == "heaviest":
        while heap and -heap[0] in gone:
            heapq.heappop(heap)
        print(-heap[0] if heap else 0)
        continue
    i = int(rest[0])
    if kind == "add":
        weights.append(i)
        heapq.heappush(heap, -i)
        insort(shelf, i)
    elif kind == "take":
        gone.add(weights[i])
        del shelf[bisect_left(shelf, weights[i])]
    else:
        print(bisect_left(shelf, weights[i]))
