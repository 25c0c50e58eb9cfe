"""Asks all others who their boss is, for everyone."""
n = int(input())
total = list(map(int, input().split()))
boss = [0] + list(map(int, input().split())) if n > 1 else [0]
for i in range(n, 0, -1):
    total[i - 1] += sum(total[j] for j in range(i, n) if boss[j] == i)
best = max(range(n), key=lambda i: (total[i], -i))
print(best + 1, total[best])
