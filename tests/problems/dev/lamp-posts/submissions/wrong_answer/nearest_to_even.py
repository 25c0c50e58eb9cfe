"""Puts each lamp to the post nearest to where it would stand if all were even."""
from bisect import bisect_left

n, k = map(int, input().split())
x = list(map(int, input().split()))
places = []
for i in range(k):
    wish = x[0] + (x[-1] - x[0]) * i / (k - 1)
    j = bisect_left(x, wish)
    near = [p for p in (j - 1, j) if 0 <= p < n]
    places.append(x[min(near, key=lambda p: abs(x[p] - wish))])
print(max(1, min(b - a for a, b in zip(places, places[1:]))))
