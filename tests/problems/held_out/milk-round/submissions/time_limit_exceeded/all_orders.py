from itertools import permutations

n = int(input())
d = [list(map(int, input().split())) for _ in range(n)]
best = None
for order in permutations(range(1, n)):
    at = t = 0
    for j in order:
        t += d[at][j]
        at = j
    t += d[at][0]
    if best is None or t < best:
        best = t
print(best)
