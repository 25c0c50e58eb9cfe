"""Turns parts of the round around for as long as that helps."""
n = int(input())
d = [list(map(int, input().split())) for _ in range(n)]
tour = list(range(n)) + [0]
better = True
while better:
    better = False
    for i in range(1, n):
        for j in range(i + 1, n):
            a, b, c, e = tour[i - 1], tour[i], tour[j], tour[j + 1]
            if d[a][c] + d[b][e] < d[a][b] + d[c][e]:
                tour[i:j + 1] = tour[i:j + 1][::-1]
                better = True
print(sum(d[a][b] for a, b in zip(tour, tour[1:])))
