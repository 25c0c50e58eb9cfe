"""The mean distance is the highest bound, and it is never tried."""
n, k = map(int, input().split())
x = list(map(int, input().split()))
low, high = 1, max(2, (x[-1] - x[0]) // (k - 1))
while high - low > 1:
    d = (low + high) // 2
    last, lamps = x[0], 1
    for v in x:
        if v - last >= d:
            last = v
            lamps += 1
    if lamps >= k:
        low = d
    else:
        high = d
print(low if k > 2 else x[-1] - x[0])
