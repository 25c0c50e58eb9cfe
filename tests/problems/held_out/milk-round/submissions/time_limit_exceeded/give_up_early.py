"""Tries all rounds, but gives up those that are too long already."""
n = int(input())
d = [list(map(int, input().split())) for _ in range(n)]
best = 10**18


def go(at, left, t):
    global best
    if t >= best:
        return
    if not left:
        best = min(best, t + d[at][0])
        return
    for j in sorted(left, key=d[at].__getitem__):
        go(j, left - {j}, t + d[at][j])


go(0, frozenset(range(1, n)), 0)
print(best)
