"""best[j][i]: j lamps, the last at post i."""
n, k = map(int, input().split())
x = list(map(int, input().split()))
best = [10**18] * n
for j in range(1, k):
    best = [max((min(best[h], x[i] - x[h]) for h in range(j - 1, i)), default=0) for i in range(n)]
print(max(best[k - 1:]))
