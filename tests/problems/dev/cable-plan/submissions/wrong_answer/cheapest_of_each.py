"""Every house digs its cheapest trench; what is then apart is not looked at."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
edges = list(zip(numbers[2::3], range(m), numbers[::3], numbers[1::3]))
best = {}
for edge in edges:
    for house in edge[2:]:
        if house not in best or edge < best[house]:
            best[house] = edge
print(sum(edge[0] for edge in set(best.values())))
