"""Sets as numbers, level by level."""
n = int(input())
d = [list(map(int, input().split())) for _ in range(n)]
level = {(1, 0): 0}
for _ in range(n - 1):
    new = {}
    for (s, i), t in level.items():
        row = d[i]
        for j in range(1, n):
            if not s >> j & 1:
                key = s | 1 << j, j
                u = t + row[j]
                if new.get(key, u) >= u:
                    new[key] = u
    level = new
print(min(t + d[i][0] for (s, i), t in level.items()))
