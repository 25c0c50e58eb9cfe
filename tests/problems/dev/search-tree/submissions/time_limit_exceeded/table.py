"""The cubic table in Python."""
n = int(input())
p = list(map(float, input().split()))
cost = [[0.0] * (n + 2) for _ in range(n + 2)]
before = [0.0]
for x in p:
    before.append(before[-1] + x)
for i in range(n, 0, -1):
    for j in range(i, n + 1):
        best = min(cost[i][k - 1] + cost[k + 1][j] for k in range(i, j + 1))
        cost[i][j] = best + before[j] - before[i - 1]
print(cost[1][n])
