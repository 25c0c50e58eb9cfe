n, m = map(int, input().split())
sums = {0}
for w in map(int, input().split()):
    sums |= {s + w for s in sums}
print(min(abs(m - 2 * s) for s in sums))
