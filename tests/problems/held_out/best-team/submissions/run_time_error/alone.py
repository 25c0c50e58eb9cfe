"""Reads three lines, where a firm of one has two."""
n = int(input())
total = [0] + list(map(int, input().split()))
boss = [0, 0] + list(map(int, input().split()))
for i in range(n, 1, -1):
    total[boss[i]] += total[i]
best = max(range(1, n + 1), key=lambda i: (total[i], -i))
print(best, total[best])
