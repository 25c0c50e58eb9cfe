"""Tries all distances of two posts, the largest first."""
n, k = map(int, input().split())
x = list(map(int, input().split()))
for d in sorted({b - a for i, a in enumerate(x) for b in x[i + 1:]}, reverse=True):
    last, lamps = x[0], 1
    for v in x:
        if v - last >= d:
            last = v
            lamps += 1
    if lamps >= k:
        print(d)
        break
